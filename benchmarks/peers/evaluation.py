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
ROUNDS = 9
MOST = 0.5

Times = dict[str, list[float]]
"""Processor time of one evaluation in microseconds, round by round, of each library."""


def main() -> None:
    """Print processor time an evaluation of each library, and this SDK's over it.

    The unit is another one each call. This SDK logs exposures, once a unit; the peers' logging is off, or, in
    eppo's, where both is possible, given to a logger that does nothing. Further rows have other exposures:
    of units that have all never been seen, and none on either side.
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
    known = [_units("known", UNITS)] * (ROUNDS + 1)
    measured = _measured([ours, *peers], known)
    own = measured.pop(ours.name)
    for name, times in measured.items():
        _row(name, own, times)
    fastest = min(measured, key=lambda name: median(measured[name]))
    _row(f"the fastest: {fastest}", own, measured[fastest])

    unseen = _measured([ours, eppo], [_units(f"new-{number}", UNITS) for number in range(ROUNDS + 1)])
    _row("every unit new; eppo-server-sdk as above", unseen[ours.name], unseen[eppo.name])
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
