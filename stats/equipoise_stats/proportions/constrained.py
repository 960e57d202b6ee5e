"""The likeliest two proportions whose difference or ratio is given: what score tests measure variance with.

Everything is in the counts x_t of n_t and x_c of n_c.
"""

import math

_ROUNDING = 4e-16
_MOST_STEPS = 200


def variance_at_difference(x_t: int, n_t: int, x_c: int, n_c: int, difference: float) -> float:
    """Variance of p̂_t − p̂_c at the likeliest proportions with p_t − p_c = difference.

    Args:
        x_t: Successes of the treatment arm.
        n_t: Its units, at least one.
        x_c: Successes of the control arm.
        n_c: Its units, at least one.
        difference: The difference, between −1 and 1.

    Returns:
        The variance, without Miettinen and Nurminen's factor N/(N − 1).

    Example:
        >>> round(variance_at_difference(56, 70, 48, 80, 0.0), 9)  # 104/150 · 46/150 · (1/70 + 1/80)
        0.005695238
    """
    p_c = likeliest_control(x_t, n_t, x_c, n_c, difference)
    p_t = min(1.0, max(0.0, p_c + difference))
    return p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c


def variance_at_ratio(x_t: int, n_t: int, x_c: int, n_c: int, ratio: float) -> float:
    """Variance of p̂_t − ratio · p̂_c at the likeliest proportions with p_t = ratio · p_c.

    The constrained control proportion solves N R p² − (R (n_t + x_c) + n_c + x_t) p + (x_t + x_c) = 0, whose
    discriminant is written as a sum of terms that are not negative.

    Args:
        x_t: Successes of the treatment arm.
        n_t: Its units, at least one.
        x_c: Successes of the control arm.
        n_c: Its units, at least one.
        ratio: The ratio, not negative.

    Returns:
        The variance, without Miettinen and Nurminen's factor N/(N − 1).

    Source:
        Koopman 1984, Biometrics 40, 513–517; Miettinen and Nurminen 1985, Stat. Med. 4, 213–226.
    """
    first, second = ratio * (n_t + x_c), n_c + x_t
    root = math.sqrt((first - second) ** 2 + 4 * ratio * (n_t - x_t) * (n_c - x_c))
    p_c = 2 * (x_t + x_c) / (first + second + root)
    p_t = min(1.0, ratio * p_c)
    return p_t * (1 - p_t) / n_t + ratio * ratio * p_c * (1 - p_c) / n_c


def likeliest_control(x_t: int, n_t: int, x_c: int, n_c: int, difference: float) -> float:
    """The control proportion that maximises the likelihood subject to p_t − p_c = difference.

    The published solution is a trigonometric formula for a cubic's root, which loses digits where events are
    rare. The log-likelihood is concave and its maximum lies between p̂_c and p̂_t − difference, so a Newton
    iteration that never leaves that bracket finds it to rounding.

    Source:
        Farrington and Manning 1990, Stat. Med. 9, 1447–1454 (the likelihood equation).

    Example:
        >>> round(likeliest_control(56, 70, 48, 80, 0.1), 6)
        0.651548
    """
    if difference == 0:
        return (x_t + x_c) / (n_t + n_c)
    low, high = max(0.0, -difference), min(1.0, 1 - difference)
    a, b = sorted(min(high, max(low, p)) for p in (x_c / n_c, x_t / n_t - difference))
    edge = _maximum_at_an_edge(x_t, n_t, x_c, n_c, difference, a, b)
    if edge is not None:
        return edge
    p = min(b, max(a, (x_c + x_t - n_t * difference) / (n_t + n_c)))
    if not a < p < b:
        p = (a + b) / 2
    for _ in range(_MOST_STEPS):
        q = p + difference
        slack_t, slack_c, spread_t, spread_c = x_t - n_t * q, x_c - n_c * p, q * (1 - q), p * (1 - p)
        score = slack_t * spread_c + slack_c * spread_t
        slope = slack_t * (1 - 2 * p) - n_t * spread_c + slack_c * (1 - 2 * q) - n_c * spread_t
        if score > 0:
            a = p
        else:
            b = p
        following = p - score / slope if slope < 0 else (a + b) / 2
        if not a <= following <= b:
            following = (a + b) / 2
        if abs(following - p) <= _ROUNDING * p:
            break
        p = following
    return following


def _maximum_at_an_edge(
    x_t: int, n_t: int, x_c: int, n_c: int, difference: float, a: float, b: float
) -> float | None:
    """An end of the bracket where the likelihood is greatest, None when that is inside.

    A proportion may be 0 (or 1) only where its arm has no success (or no failure); the likelihood's slope
    there decides.
    """
    if b - a <= _ROUNDING * b:
        return a
    d = difference
    if d > 0:
        if x_c == 0 and (x_t - n_t * d) <= n_c * d * (1 - d):
            return 0.0
        if x_t == n_t and n_t * d * (1 - d) >= n_c * (1 - d) - x_c:
            return 1 - d
        return None
    if x_t == 0 and x_c + n_c * d <= -n_t * d * (1 + d):
        return -d
    if x_c == n_c and -n_c * d * (1 + d) >= n_t * (1 + d) - x_t:
        return 1.0
    return None
