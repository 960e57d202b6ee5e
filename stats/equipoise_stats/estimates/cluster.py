"""The difference of two means when whole clusters (cities, schools, accounts) were randomised."""

from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.estimates.ratio import linearised_ratio
from equipoise_stats.moments import Moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_FEWEST_CLUSTERS = 40


def cluster_difference(
    *, treatment: Moments, control: Moments, total: str = "total", size: str = "size"
) -> Estimate | NoEstimate:
    """Estimates the difference of the means per individual, treatment − control, of randomised clusters.

    The clusters are the units: an arm's mean is Σ total / Σ size, its variance comes from the spread between
    clusters, and the reference is t with (Satterthwaite's combination of) clusters − 1 degrees of freedom.

    Args:
        treatment: Moments of the treatment arm, a row a *cluster* (`Moments.n` is the number of clusters).
        control: Moments of the control arm.
        total: Column of the sum of the metric over the individuals of the cluster.
        size: Column of the number of individuals of the cluster.

    Returns:
        The estimate in the metric's unit; `n` counts clusters. Or `NoEstimate` (`too_few_units`,
        `denominator_not_positive`, `no_variance`). It warns of fewer than 40 clusters (`few_clusters`) and of
        sizes so uneven that the mean size is not well known (`noisy_denominator`).

    Source:
        Donner and Klar 2000, Design and Analysis of Cluster Randomization Trials; Liang and Zeger 1986
        (the variance is the cluster-robust one with the factor G/(G − 1) in each arm).

    Example:
        >>> arms = [
        ...     Moments.from_arrays({"total": [12.0, 30.0, 22.0, shift], "size": [10.0, 25.0, 20.0, 15.0]})
        ...     for shift in (20.0, 16.0)
        ... ]
        >>> e = cluster_difference(treatment=arms[0], control=arms[1])
        >>> e.treatment.value, round(e.standard_error, 4), [w.code for w in e.warnings]
        (1.2, 0.0581, ['noisy_denominator', 'few_clusters'])
    """
    return linearised_ratio(
        "cluster",
        treatment=treatment,
        control=control,
        numerator=total,
        denominator=size,
        warnings=_few_clusters(treatment.n + control.n),
    )


def _few_clusters(clusters: int) -> tuple[Notice, ...]:
    if clusters >= _FEWEST_CLUSTERS:
        return ()
    return (notice("few_clusters", clusters=clusters, needed=_FEWEST_CLUSTERS),)
