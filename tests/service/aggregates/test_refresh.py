"""A refresh gives the numbers of a full analysis, whatever comes, in whatever order."""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import ibis.expr.types as ir
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from tests.service.events.contract import append, batch

from equipoise_service.aggregates import refreshing, service, waiting
from equipoise_service.aggregates.bases import newest
from equipoise_service.aggregates.names import digest_of
from equipoise_service.aggregates.service import Keeping, analyse
from equipoise_service.analysis import asking
from equipoise_service.analysis.requests import Bots, Segment, StoreRequest
from equipoise_service.analysis.store import analyse_store
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.stores.duckdb.workspace import DuckdbWorkspace
from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.metrics.conditions import Condition, Operator
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, Covariate, EventMeasure, Level, MetricType, Step
from equipoise_service.settings import Settings

# Facts are received now: of these hours the first ones are long ago for an exposure, the later ones are not.
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=60)
BIG = (Condition(operator=Operator.AT_LEAST, value=2.0),)
# What new events add to, and what has to be worked out anew for a unit with new events.
ADDED = (
    Measure("bought", MetricType.PROPORTION, "buy"),
    Measure("soon", MetricType.PROPORTION, "buy", window_hours=30, pre_period_days=1),
    Measure("spent", MetricType.MEAN, "buy", pre_period_days=2),
    Measure("visits", MetricType.MEAN, "view", Aggregation.COUNT, delay_hours=5, filters=BIG),
    Measure("largest", MetricType.MEAN, "buy", Aggregation.MAXIMUM, window_hours=50),
    Measure("least", MetricType.QUANTILE, "buy", Aggregation.MAXIMUM, quantile=0.4, level=Level.UNIT),
    Measure("capped", MetricType.MEAN, "buy", winsorize=0.6),
    Measure(
        "each", MetricType.RATIO, "buy", denominator=EventMeasure(event="view", aggregation=Aggregation.COUNT)
    ),
    Measure("back", MetricType.RETENTION, "view", delay_hours=24, window_hours=72),
    Measure("median", MetricType.QUANTILE, "buy", quantile=0.5, level=Level.UNIT),
    Measure(
        "adjusted",
        MetricType.MEAN,
        "buy",
        covariate=Covariate(event="view", aggregation=Aggregation.COUNT, pre_period_days=2),
    ),
)
OTHERS = (
    Measure("latest", MetricType.MEAN, "buy", Aggregation.LAST),
    Measure("kinds", MetricType.COUNT_DISTINCT, "view", distinct="plan"),
    Measure("through", MetricType.FUNNEL, "view", steps=(Step(event="buy"),), within_hours=40),
    Measure("of-events", MetricType.QUANTILE, "buy", quantile=0.75, level=Level.EVENT),
    Measure("spent", MetricType.MEAN, "buy"),
    Measure(
        "adjusted-kinds",
        MetricType.MEAN,
        "buy",
        covariate=Covariate(event="view", property="plan", pre_period_days=2),
    ),
)
# Whose sums are kept, and what changed is added to them and taken away.
SUMMED = (*ADDED[:5], *ADDED[7:9], *ADDED[10:])
REQUEST = StoreRequest("default/a", "exp", 1, "user", ADDED, START + timedelta(hours=90), left_out=("u5",))
REQUESTS = {
    "added": REQUEST,
    "summed": replace(REQUEST, measures=SUMMED, since=START + timedelta(hours=30)),
    "summed, read again": replace(REQUEST, measures=(*OTHERS[:3], OTHERS[4], *SUMMED[1:2])),
    "others": replace(REQUEST, measures=OTHERS),
    "ended": replace(REQUEST, measures=(*SUMMED, *OTHERS[:3]), until=START + timedelta(hours=60)),
    "bots by a day": replace(REQUEST, measures=SUMMED, bots=Bots(most_events=2)),
    "bots by an event": replace(REQUEST, measures=(*OTHERS[:3], *SUMMED[:2]), bots=Bots(None, "view", BIG)),
    "bots by both": replace(
        REQUEST, measures=ADDED, bots=Bots(2, "else"), until=START + timedelta(hours=60), since=START
    ),
    "segments": replace(
        REQUEST, measures=ADDED[:4], segments=(Segment("plan", "view", "plan"),), segment_values=2
    ),
}
KEEPING = {"never folded": Keeping(0, math.inf), "always folded": Keeping(0, 0.0)}

units = st.sampled_from([f"u{i}" for i in range(6)])
hours = st.integers(0, 120)
exposures = st.builds(
    lambda unit, hour, variant, experiment: ExposureIn(
        id=str(uuid4()),
        time=START + timedelta(hours=hour),
        unit=unit,
        experiment=experiment,
        variant=variant,
        unit_type="user",
        revision=1,
    ),
    units,
    hours,
    st.sampled_from(["control", "control", "treatment"]),
    st.sampled_from(["exp", "exp", "exp", "other"]),
)
events = st.builds(
    lambda unit, hour, name, value: EventIn(
        id=str(uuid4()),
        time=START + timedelta(hours=hour),
        unit=unit,
        name=name,
        unit_type="user",
        value=value,
    ),
    units,
    hours,
    st.sampled_from(["buy", "view", "else"]),
    st.one_of(st.none(), st.integers(-4, 9).map(float)),
)
plans = st.sampled_from([None, '{"plan":"a"}', '{"plan":"b"}', '{"plan":"c"}', '{"plan":1}'])
rounds = st.lists(
    st.tuples(st.lists(exposures, max_size=4), st.lists(st.tuples(events, plans), max_size=8)),
    min_size=2,
    max_size=4,
)


@contextmanager
def opened(store: Path) -> Iterator[EventStore]:
    with open_event_store(
        Settings(data_dir=store, event_commit_milliseconds=0, analysis_memory_mb=512, analysis_threads=1)
    ) as opened_store:
        yield opened_store


def send(store: EventStore, shown: list[ExposureIn], happened: list[tuple[EventIn, str | None]]) -> None:
    append(store, batch(shown, [each for each, _ in happened], properties=[text for _, text in happened]))


def full(store: EventStore, request: StoreRequest) -> Any:
    with store.workspace() as workspace:
        return analyse_store(workspace.backend, request, keep=workspace.keep)


def assert_same(found: Any, expected: Any, where: str = "statistics") -> None:
    if is_dataclass(expected):
        assert type(found) is type(expected), where
        for each in fields(expected):
            assert_same(getattr(found, each.name), getattr(expected, each.name), f"{where}.{each.name}")
    elif isinstance(expected, Mapping):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9), f"{where}: {found} for {expected}"
    else:
        assert found == expected, where


@pytest.mark.parametrize("kept", KEEPING)
@pytest.mark.parametrize("kind", REQUESTS)
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(given_rounds=rounds)
def test_a_refresh_gives_the_numbers_of_a_full_analysis(
    kind: str, kept: str, given_rounds: list[tuple[list[ExposureIn], list[tuple[EventIn, str | None]]]]
) -> None:
    with TemporaryDirectory() as directory, opened(Path(directory)) as store:
        for number, (shown, happened) in enumerate(given_rounds):
            send(store, shown, happened)
            # Units become mature between two looks without anything new.
            for later in (0, 20):
                request = replace(REQUESTS[kind], as_of=REQUEST.as_of + timedelta(hours=30 * number + later))
                assert_same(analyse(store, request, KEEPING[kept]), full(store, request))


def spent(unit: int, value: float, hour: int = 60) -> tuple[EventIn, str | None]:
    event = EventIn(
        id=str(uuid4()),
        time=START + timedelta(hours=hour),
        unit=f"v{unit}",
        name="buy",
        unit_type="user",
        value=value,
    )
    return event, None


def met(unit: int, variant: str, hour: float = 48) -> ExposureIn:
    return ExposureIn(
        id=str(uuid4()),
        time=START + timedelta(hours=hour),
        unit=f"v{unit}",
        experiment="exp",
        variant=variant,
        unit_type="user",
        revision=1,
    )


SPENT = replace(
    REQUEST,
    measures=(
        Measure("spent", MetricType.MEAN, "buy", pre_period_days=2),
        Measure("soon", MetricType.MEAN, "buy", window_hours=60),
        Measure("bought", MetricType.PROPORTION, "buy", window_hours=70),
    ),
)


def variant_of(unit: int) -> str:
    return ("control", "treatment")[unit % 2]


@pytest.mark.parametrize("until", [None, START + timedelta(hours=60)])
def test_changes_are_added_to_kept_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: datetime | None
) -> None:
    """Twice: each change is among the rows, and none but the changed rows is read."""
    with opened(tmp_path) as store:
        happened = [spent(i, 10.0 + i % 7, hour) for i in range(0, 80, 3) for hour in (20, 60 + i % 5)]
        # Of a unit that nothing shows yet.
        happened.append(spent(90, 4.0, 30))
        # Half of them are mature for the shorter window when the base is kept.
        shown = [met(i, variant_of(i), 48 + 8 * (i % 4 // 2)) for i in range(80)]
        send(store, shown, happened)
        # Of those shown at 56 hours the delay had not passed by the end.
        measures = (*SPENT.measures, Measure("later", MetricType.MEAN, "buy", delay_hours=5))
        first = replace(SPENT, as_of=START + timedelta(hours=112), until=until, measures=measures)
        analyse(store, first, KEEPING["never folded"])
        monkeypatch.setattr(service, "_of_rows", None)
        # Exposures that are new, earlier than known, and of another variant; values of old and new units.
        send(store, [met(90, "control"), met(3, "treatment", 10), met(4, "treatment")], [spent(6, 5.5)])
        send(store, [met(90, "control", 40)], [spent(90, 3.0), spent(1, 2.0, 30), spent(1, 8.0, 61)])
        for later in (0, 5, 10, 20, -2):
            request = replace(first, as_of=first.as_of + timedelta(hours=later))
            assert_same(analyse(store, request, KEEPING["never folded"]), full(store, request))


@pytest.mark.parametrize("large", [1e12, 1e160])
def test_a_sum_that_lost_its_digits_is_made_again(tmp_path: Path, large: float) -> None:
    with opened(tmp_path) as store:
        happened = [spent(i, 10.0 + i % 7) for i in range(40)]
        send(store, [met(i, variant_of(i)) for i in range(40)], [*happened, spent(4, large)])
        assert_same(analyse(store, SPENT, KEEPING["never folded"]), full(store, SPENT))
        # Who has nearly all of the sum leaves the arm.
        send(store, [met(4, "treatment")], [])
        assert_same(analyse(store, SPENT, KEEPING["never folded"]), full(store, SPENT))


def test_events_wait_for_their_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for among all events: what came before waits, what comes later is new."""
    looked_for: list[datetime | None] = []

    def found(*args: Any) -> Any:
        looked_for.append(args[-1])
        return find(*args)

    find = refreshing._found
    monkeypatch.setattr(refreshing, "_found", found)
    # Statements of other tests are not made again.
    monkeypatch.setattr(asking, "_remembered", OrderedDict())
    with opened(tmp_path) as store:
        happened = [spent(unit, 3.0 + unit, hour) for unit in range(6) for hour in (20, 30, 58)]
        send(store, [met(i, variant_of(i)) for i in range(4)], happened)
        request = replace(SPENT, as_of=START + timedelta(hours=70))
        analyse(store, request, KEEPING["never folded"])
        # A crossover has no values, so that nothing is looked for either.
        send(
            store, [met(4, "control", 57), met(5, "treatment", 59), met(2, "treatment")], [spent(5, 1.0, 29)]
        )
        assert_same(analyse(store, request, KEEPING["never folded"]), full(store, request))
        assert looked_for == [None]
        # An exposure that happened long before what waits.
        send(store, [met(6, "control", 10)], [spent(6, 9.0, 5)])
        assert_same(analyse(store, request, KEEPING["never folded"]), full(store, request))
        day = datetime.combine((START + timedelta(hours=10)).date(), time.min)
        # As long as its pre-period is.
        assert looked_for[1:] == [day - timedelta(days=2)]


def test_statements_are_those_of_an_earlier_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base made again and again is read with its own name and moments, and nothing is made from Ibis."""
    compiled: list[object] = []

    def compiling(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        compiled.append(query)
        return compile_(self, query, *args, **kwargs)

    compile_ = Backend.compile
    request = replace(SPENT, as_of=START + timedelta(hours=70), measures=SPENT.measures[:1], left_out=())
    assert not any(measure.matures_after for measure in request.measures)
    with opened(tmp_path) as store:
        happened = [spent(unit, 3.0 + unit, hour) for unit in range(8) for hour in (20, 30, 58)]
        send(store, [met(i, variant_of(i)) for i in range(4)], happened)
        analyse(store, request, KEEPING["always folded"])
        made: list[int] = []
        for step in range(1, 7):
            # Within an hour, so that what is looked for begins on the same day each time.
            shown = [met(3 + step, variant_of(step)), met(10, "control", 57 - step / 10)]
            send(store, shown, [spent(step % 3, 2.0 * step, 59), spent(step + 1, 1.0, 29)])
            now = replace(request, as_of=request.as_of + timedelta(minutes=step))
            monkeypatch.setattr(Backend, "compile", compiling)
            found = analyse(store, now, KEEPING["always folded" if step % 2 else "never folded"])
            monkeypatch.undo()
            made.append(sum(not isinstance(query, ir.Scalar) for query in compiled))
            compiled.clear()
            assert_same(found, full(store, now))
    assert made[-2:] == [0, 0]


def test_many_events_do_not_wait(tmp_path: Path) -> None:
    """They would be a second copy of the events; those of who is exposed then are looked for."""

    def waits() -> bool:
        with store.workspace() as workspace:
            base = newest(workspace, digest_of(SPENT))
        assert base is not None
        return base.waits

    with opened(tmp_path) as store:
        # Six events of three units wait for a base of three rows.
        happened = [spent(unit, 3.0 + unit, hour) for unit in range(6) for hour in (30, 58)]
        send(store, [met(i, variant_of(i)) for i in range(3)], happened)
        analyse(store, SPENT, KEEPING["never folded"])
        assert waits()
        send(store, [], [spent(0, 2.0), spent(6, 2.0)])
        analyse(store, SPENT, KEEPING["always folded"])
        assert not waits()
        send(store, [met(4, "control"), met(5, "treatment")], [])
        assert_same(analyse(store, SPENT, KEEPING["never folded"]), full(store, SPENT))


@pytest.mark.parametrize(("more", "asked"), [(0, True), (1, False)])
def test_a_few_units_tell_that_far_too_many_events_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, asked: bool
) -> None:
    """A base is made again and again: not to find each time how many events of all units would wait."""
    kept: list[str] = []

    def make(self: DuckdbWorkspace, name: str, *args: Any, **kwargs: Any) -> Any:
        kept.append(name)
        return making(self, name, *args, **kwargs)

    making = DuckdbWorkspace.make
    monkeypatch.setattr(DuckdbWorkspace, "make", make)
    # Of six units there may be none with the least hashes.
    monkeypatch.setattr(waiting, "_ONE_OF", 1)
    monkeypatch.setattr(asking, "_remembered", OrderedDict())
    with opened(tmp_path) as store:
        # Two events for each of the three units of the base may wait, and twice as many are asked about.
        happened = [spent(3 + number % 3, 3.0, 30 + number) for number in range(12 + more)]
        send(store, [met(i, variant_of(i)) for i in range(3)], happened)
        analyse(store, SPENT, KEEPING["never folded"])
        assert ("waiting" in kept) is asked
        send(store, [met(4, "control")], [spent(0, 2.0)])
        assert_same(analyse(store, SPENT, KEEPING["never folded"]), full(store, SPENT))
