"""Where a readout comes from: what was analysed, when, and all that is known beside its statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from equipoise_service.readouts.lasting import RepeatOf
from equipoise_service.readouts.losses import Arrivals, Dropped
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_service.readouts.recomputed import Recomputation
from equipoise_service.readouts.recorded import Deviation, Locked, SourceRead, TrafficStep
from equipoise_service.readouts.standing import Concluded


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was analysed, and when.

    Attributes:
        experiment: The experiment's key, or the name of a file.
        revision: Number of the revision; None for a file.
        generated_at: When the readout is computed.
        started_at: When the randomisation began; of a file, its first exposure; None without times.
        ended_at: When it ended, if it did.
        traffic: Share of units that take part; None for a file.
        steps: What it was over time; empty where that is not known, None for a file.
        paused: For how many seconds it was paused; None for a file.
        locked: The lock of the plan, if it was locked.
        deviations: What was changed of the plan since then.
        dropped: What senders gave up meanwhile; None where nobody asked.
        arrivals: How late the exposures arrived; None where nobody asked.
        overlaps: What is known of other experiments; None where none ran at the same time, and for a file.
        concluded: What an earlier readout concluded for good; None without one.
        holdback: Basis points of the units that are held back, of a holdback's revision.
        repeat: What it repeats after a ship, if it does.
        segments_as_before: Whether it is recomputed as readouts were from before parts of segments were
            corrected, and any test asked of them but Cochran's Q.
        sources: The definitions of the sources that were read; empty where that is not known.
        asked_at: When effects by age and other experiments were read, where readouts do so once a day.
        asked_as_before: Whether it is recomputed as readouts were from before those had tests that hold at
            any moment.
    """

    experiment: str
    revision: int | None
    generated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    traffic: float | None = None
    steps: Sequence[TrafficStep] | None = None
    paused: float | None = None
    locked: Locked | None = None
    deviations: Sequence[Deviation] = ()
    dropped: Dropped | None = None
    arrivals: Arrivals | None = None
    overlaps: Overlaps | None = None
    recomputed: Recomputation | None = None
    concluded: Concluded | None = None
    holdback: int | None = None
    repeat: RepeatOf | None = None
    segments_as_before: bool = False
    sources: Sequence[SourceRead] = ()
    asked_at: datetime | None = None
    asked_as_before: bool = False
