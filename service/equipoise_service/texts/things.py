"""How many of what, and the few words that stand in many sentences."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # The language of these texts, as HTML names it.
        "language": "en",
        # How many of what.
        "units.one": "{count} unit",
        "units.many": "{count} units",
        "rows.one": "{count} row",
        "rows.many": "{count} rows",
        "exposures.one": "{count} exposure",
        "exposures.many": "{count} exposures",
        "items.one": "{count} exposure or event",
        "items.many": "{count} exposures and events",
        "looks.one": "{count} look",
        "looks.many": "{count} looks",
        "experiments.one": "{count} experiment",
        "experiments.many": "{count} experiments",
        "days.one": "{count} day",
        "days.many": "{count} days",
        # Several things in a row.
        "list.between": ", ",
        "list.last": "{items} and {last}",
        # Numbers.
        "percentage_points": "percentage points",
        "points": "pp",
        "range": "{low} to {high}",
        "share_of": "{part} of {whole}",
        "interval": "{level} interval",
        "intervals": "{level} intervals",
        "intervals.any_moment": "{level} intervals that hold at any moment",
        "no_number": "–",
        "against": "{variant} against {baseline}",
        "part.of": "{event} per unit",
        # Roles of metrics.
        "role.success": "success",
        "role.guardrail": "guardrail",
        "role.deterioration": "deterioration",
        "role.quality": "quality",
        # Types of metrics.
        "type.proportion": "proportion",
        "type.mean": "mean",
        "type.ratio": "ratio",
        "type.retention": "retention",
        "type.count_distinct": "count distinct",
        "type.quantile": "quantile",
        "type.funnel": "funnel",
        # Which way is better.
        "direction.increase": "more is better",
        "direction.decrease": "less is better",
        # What a check came to.
        "status.ok": "ok",
        "status.warning": "warning",
        "status.failed": "failed",
        "status.unavailable": "unavailable",
        # Why there is no number, in short.
        "no_effect.too_few_units": "too few units",
        "no_effect.no_variance": "no variance",
        "no_effect.control_not_positive": "control not positive",
        "no_effect.treatment_not_positive": "treatment not positive",
        "no_effect.denominator_not_positive": "denominator not positive",
        "no_effect.tied": "tied",
        "no_effect.unbounded": "unbounded",
        "no_effect.empty": "empty",
        "no_effect.no_events": "no events",
        "no_effect.out_of_reach": "out of reach",
        "no_effect.too_few_studies": "too few studies",
        "no_effect.not_selected": "not selected",
        "no_effect.not_finite": "not finite",
    }
)
