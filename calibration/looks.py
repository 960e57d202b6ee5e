"""Group-sequential designs: planned and unplanned looks, over- and under-runs, power, what follows a stop."""

import math
from functools import partial
from itertools import pairwise

import numpy as np

import equipoise_stats as es
from calibration.measure import Case, Cell, Row, shares

SECTION = "Group-sequential"

UNPLANNED = (0.13, 0.31, 0.52, 0.78, 1.0)
SPENDINGS = {
    "O'Brien–Fleming type": es.Spending(),
    "Pocock type": es.Spending("pocock"),
    "Hwang–Shih–DeCani −4": es.Spending("hwang_shih_decani", -4.0),
    "power 2": es.Spending("power", 2.0),
}
_EXPONENTIAL = es.EmpiricalPopulation(-np.log1p(-(np.arange(20_000) + 0.5) / 20_000))
_NORMAL = es.NormalPopulation(10.0, 2.0)


def unplanned_looks(replications: int, generator: np.random.Generator, *, spending: str) -> list[Row]:
    """Size and repeated intervals at fractions that nobody planned, on exponential data."""
    design = es.group_sequential_design(UNPLANNED, spending=SPENDINGS[spending])
    done = es.simulate(
        design,
        treatment=_EXPONENTIAL,
        control=_EXPONENTIAL,
        units=2_000,
        seed=int(generator.integers(2**31)),
        replications=replications,
    )
    case = Case(spending, "exponential, looks at 0.13, 0.31, 0.52, 0.78, 1", replications)
    return [
        case.exact("size over all looks", done.rejected, 0.05),
        case.at_least("coverage at all looks", done.coverage_throughout, 0.95),
    ]


def random_schedules(replications: int, generator: np.random.Generator) -> list[Row]:
    """Another schedule for every 100 experiments: one to eight looks at random times."""
    rejected = 0.0
    schedules = max(1, replications // 100)
    for _ in range(schedules):
        earlier = sorted(generator.uniform(0.05, 0.95, size=generator.integers(1, 8)).tolist())
        times = [late for early, late in pairwise([0.0, *earlier]) if late - early > 0.01]
        rejected += es.simulate(
            es.group_sequential_design([*times, 1.0]),
            treatment=_NORMAL,
            control=_NORMAL,
            units=2_000,
            seed=int(generator.integers(2**31)),
            replications=100,
        ).rejected
    case = Case("O'Brien–Fleming type", "normal, looks at random times", 100 * schedules)
    return [case.exact("size over all looks", rejected / schedules, 0.05)]


def other_end(
    replications: int, generator: np.random.Generator, *, fractions: tuple[float, ...]
) -> list[Row]:
    """The experiment ends before or after its planned size."""
    history = es.plan_looks(fractions[:-1]).next_look(fractions[-1], final=True)
    scaled = tuple(fraction / fractions[-1] for fraction in fractions)
    design = es.Design("group_sequential", 0.05, "two-sided", scaled, history.critical_values)
    done = es.simulate(
        design,
        treatment=_NORMAL,
        control=_NORMAL,
        units=2_000,
        seed=int(generator.integers(2**31)),
        replications=replications,
    )
    what = "under-run" if fractions[-1] < 1 else "over-run"
    case = Case("O'Brien–Fleming type", f"normal, {what}: looks at {fractions}", replications)
    return [case.exact("size over all looks", done.rejected, 0.05)]


def naive_looks(replications: int, generator: np.random.Generator) -> list[Row]:
    """Two counterparts: 1.96 at each of five looks, and the cumulative alpha spent as if it were nominal."""
    spent = [look.spent for look in es.plan_looks([0.2, 0.4, 0.6, 0.8, 1.0]).looks]
    cumulative = tuple(-_normal_quantile(level / 2) for level in spent)
    designs = {"1.96 at each of five looks": (1.959964,) * 5, "cumulative alpha as nominal": cumulative}
    rows = []
    for name, critical in designs.items():
        done = es.simulate(
            es.Design("naive", 0.05, "two-sided", (0.2, 0.4, 0.6, 0.8, 1.0), critical),
            treatment=_NORMAL,
            control=_NORMAL,
            units=2_000,
            seed=int(generator.integers(2**31)),
            replications=replications,
        )
        case = Case(name, "normal", replications, naive=True)
        rows.append(case.at_most("size over all looks", done.rejected, 0.05))
    return rows


def power_and_size(replications: int, generator: np.random.Generator, *, design: es.Design) -> list[Row]:
    """Planned power and expected size, for 80 % power."""
    plan = es.PlannedTest(es.mean_outcome(mean=10.0, sd=2.0), effect=0.2, design=design)
    size = es.sample_size(plan)
    units = 2 * round(size.units / 2)
    done = es.simulate(
        design,
        treatment=es.NormalPopulation(10.2, 2.0),
        control=_NORMAL,
        units=units,
        seed=int(generator.integers(2**31)),
        replications=replications,
    )
    # The size at the stop varies by less than 40 % of its mean.
    reach = max(0.01, 3 * 0.4 / math.sqrt(replications))
    name = design.name.replace("_", " ")
    case = Case(name, f"normal, {len(design.fractions)} looks, planned for 80 %", replications)
    return [
        case.exact("power", done.rejected_above, es.planned_power(plan, units=units)),
        case.between("units at the stop / planned", done.units / size.expected_units, 1 - reach, 1 + reach),
    ]


def after_the_stop(replications: int, generator: np.random.Generator, *, drift: float) -> list[Row]:
    """The stage-wise interval, median and p-value of an experiment that stopped; and the naive interval."""
    fractions = (0.25, 0.5, 0.75, 1.0)
    spending = SPENDINGS["Pocock type"]
    plans = [es.plan_looks(fractions[: look + 1], spending=spending) for look in range(4)]
    steps = np.diff(fractions, prepend=0.0)
    motion = np.cumsum(generator.normal(drift * steps, np.sqrt(steps), size=(replications, 4)), axis=1)
    z = motion / np.sqrt(fractions)
    crossed = np.abs(z) > np.array(plans[-1].critical_values)
    stop = np.where(crossed.any(axis=1), crossed.argmax(axis=1), 3)
    comparisons, naive, median_above = [], [], 0.0
    for path, look in zip(z.tolist(), stop.tolist(), strict=True):
        spread = 1 / math.sqrt(fractions[look])
        arm = es.ArmEstimate(1000, 100.0 + path[look] * spread, spread**2 / 2)
        effect = es.Estimate("mean_welch", arm, es.ArmEstimate(1000, 100.0, spread**2 / 2))
        result = es.stage_wise(effect, history=plans[look])
        comparisons.append(result)
        naive.append(es.fixed_horizon(effect))
        estimate = result.difference.estimate
        median_above += estimate is not None and estimate > drift
    done, simple = shares(comparisons, difference=drift), shares(naive, difference=drift)
    condition = f"Pocock type, four looks, drift {drift:g}"
    case = Case("stage-wise ordering", condition, replications)
    counterpart = Case("fixed-horizon answer at the stop", condition, replications, naive=True)
    rows = [
        case.exact("coverage after the stop", done.covered, 0.95),
        case.exact("share of estimates above the truth", median_above / replications, 0.5),
    ]
    if drift == 0:
        rows.append(case.exact("size", done.rejected, 0.05))
        rows.append(counterpart.at_least("coverage after the stop", simple.covered, 0.95))
    else:
        high = sum(one.difference.estimate is not None and one.difference.estimate > drift for one in naive)
        rows.append(counterpart.exact("share of estimates above the truth", high / replications, 0.5))
    return rows


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(level))


CELLS = (
    *(
        Cell(
            SECTION,
            f"unplanned {name}",
            partial(unplanned_looks, spending=name),
            full=10_000,
            short=1_500 if name == "Pocock type" else None,
        )
        for name in SPENDINGS
    ),
    Cell(SECTION, "random schedules", random_schedules, full=20_000, short=2_000),
    *(
        Cell(
            SECTION,
            f"end at {fractions[-1]}",
            partial(other_end, fractions=fractions),
            full=20_000,
            short=4_000,
        )
        for fractions in ((0.3, 0.6, 0.85), (0.4, 0.8, 1.15))
    ),
    Cell(SECTION, "naive", naive_looks, full=20_000, short=10_000),
    *(
        Cell(
            SECTION,
            f"power {design.name} {len(design.fractions)} {design.alternative}",
            partial(power_and_size, design=design),
            full=20_000,
            short=4_000 if len(design.fractions) == 5 else None,
        )
        for design in (
            es.group_sequential_design(5),
            es.group_sequential_design(5, spending=es.Spending("pocock"), alternative="greater", alpha=0.025),
            es.group_sequential_design(28),
            es.confidence_sequence_design(14),
        )
    ),
    *(
        Cell(
            SECTION,
            f"stop {drift}",
            partial(after_the_stop, drift=drift),
            full=10_000,
            short=300 if drift == 2.5 else None,
        )
        for drift in (0.0, 2.5, 4.0)
    ),
)
