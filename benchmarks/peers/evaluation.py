"""One evaluation with an audience, two arms and full traffic, beside seven other libraries, all offline."""

import time
from collections.abc import Sequence
from statistics import median

from benchmarks.paired import row
from benchmarks.peers import (
    evaluation_eppo,
    evaluation_equipoise,
    evaluation_flagsmith,
    evaluation_growthbook,
    evaluation_launchdarkly,
    evaluation_optimizely,
    evaluation_statsig,
    evaluation_unleash,
)
from benchmarks.peers.scene import Peer, check

UNITS = 20_000
SEEN = 5_000
"""Units that are seen again and again; fewer than are remembered."""
ROUNDS = 9
MOST = 0.5

Times = dict[str, list[float]]
"""Processor time of one evaluation in microseconds, round by round, of each library."""


def main() -> None:
    """Print processor time an evaluation of each library, and this SDK's over it.

    The unit is another one each call, one that was never seen before, so that each call of this SDK's is an
    exposure. It goes to a count; the peers' logging is off, or, in eppo's, where both is possible, given to a
    logger that does nothing. Further rows: the same units again, and no exposures on either side.
    """
    print(
        f"  an evaluation with an audience, two arms, full traffic; the limit is {MOST:g} of the fastest peer"
    )
    ours, eppo = evaluation_equipoise.logged(), evaluation_eppo.logged()
    peers = [
        eppo,
        evaluation_statsig.unlogged(),
        evaluation_flagsmith.unlogged(),
        evaluation_launchdarkly.unlogged(),
        evaluation_growthbook.unlogged(),
        evaluation_unleash.engine(),
        evaluation_unleash.unlogged(),
        evaluation_optimizely.unlogged(),
    ]
    never_seen = [_units(f"new-{number}", UNITS) for number in range(ROUNDS + 1)]
    first = _measured([ours, *peers], never_seen)
    own = first.pop(ours.name)
    for name, times in first.items():
        _row(f"never seen; {name}", own, times)
    fastest = min(peers, key=lambda peer: median(first[peer.name]))
    known = [_units("known", SEEN)] * (ROUNDS + 1)
    seen = _measured([ours, fastest], known)
    _row(f"seen before; {fastest.name}", seen[ours.name], seen[fastest.name])
    bare, bare_eppo = evaluation_equipoise.unlogged(), evaluation_eppo.unlogged()
    unlogged = _measured([bare, bare_eppo], known)
    _row("assign, no exposures; eppo-server-sdk, none either", unlogged[bare.name], unlogged[bare_eppo.name])
    for peer in (ours, *peers, bare, bare_eppo):
        peer.close()


def _units(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def _measured(peers: Sequence[Peer], rounds: Sequence[list[str]]) -> Times:
    """Let the libraries take turns, so that drift of the machine hits all; the first round does not count."""
    for peer in peers:
        check(peer)
        peer.run(rounds[0])
    times: Times = {peer.name: [] for peer in peers}
    for units in rounds[1:]:
        for peer in peers:
            begin = time.process_time()
            peer.run(units)
            times[peer.name].append((time.process_time() - begin) / len(units) * 1e6)
    return times


def _row(name: str, own: list[float], theirs: list[float]) -> None:
    ratios = [one / other for one, other in zip(own, theirs, strict=True)]
    row(name, f"{median(own):.2f} μs", f"{median(theirs):.2f} μs", ratios)


if __name__ == "__main__":
    main()
