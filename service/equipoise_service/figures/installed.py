"""Whether what draws figures is installed: the extra `figures`."""

from importlib.util import find_spec


class FiguresMissing(Exception):
    """The extra `figures` is not installed; the message says how to install it."""


def need_figures() -> None:
    """Ask before the modules are imported that need it.

    Raises:
        FiguresMissing: Altair or vl-convert is not installed.
    """
    if any(find_spec(name) is None for name in ("altair", "vl_convert")):
        raise FiguresMissing(
            "Figures need packages that are not installed. Install them with: "
            'pip install "equipoise-service[figures]"'
        )
