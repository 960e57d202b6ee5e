"""Effects and standard errors of several experiments or segments: the checked input of this folder."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def checked_studies(effects: ArrayLike, standard_errors: ArrayLike) -> tuple[Floats, Floats]:
    """The effects and standard errors as arrays of shape (k,).

    Args:
        effects: Effects, all in one unit.
        standard_errors: Their standard errors, in that unit.

    Raises:
        ValueError: The lengths differ, an effect is not finite, or a standard error not positive and finite.

    Example:
        >>> checked_studies([1, 2], [0.5, 0.1])[1].tolist()
        [0.5, 0.1]
    """
    values = np.asarray(effects, dtype=np.float64)
    errors = np.asarray(standard_errors, dtype=np.float64)
    if values.ndim != 1 or values.shape != errors.shape:
        raise ValueError(
            f"Effects of shape {values.shape} and standard errors of shape {errors.shape}; one of each an "
            "experiment is needed."
        )
    if not np.isfinite(values).all():
        raise ValueError("An effect is not a finite number; leave out experiments without an estimate.")
    if not (np.isfinite(errors) & (errors > 0)).all():
        raise ValueError("A standard error is not positive and finite; leave out experiments without one.")
    return values, errors
