"""What a simulation comes to, in a handful of figures."""

import collections
import dataclasses

import numpy as np

from kvm_balancer.simulation import record as records

_MIB_PER_GIB = 1024.0
#: An instance that moves again within it has moved twice in a row.
TWICE_SECONDS = 7200.0


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """One simulation, summed up.

    :ivar spread_mean: of CPU load over the hosts, averaged over time
    :ivar peak_p99: 99th percentile over time of the load of the hottest host
    :ivar over_hours: hours that hosts spent over the limit, added up
    :ivar moves_a_day: of an instance
    :ivar moved_twice: moves within two hours of one before, of the same
        instance
    :ivar moved_again: instances that moved more than once
    :ivar promised: gain that plans promised, added up over those judged
    :ivar seen: gain that was seen of it
    """

    spread_mean: float
    peak_mean: float
    peak_p99: float
    over_hours: float
    plans: int
    moves: int
    failed: int
    dropped: int
    moves_a_day: float
    gib: float
    moved_twice: int
    moved_again: int
    most_moves: int
    promised: float
    seen: float
    predicted_seconds: float
    taken_seconds: float
    downtime_ms_mean: float
    arrived: int
    departed: int
    refused: int
    failed_hosts: int


def summed_up(record: records.Record) -> Figures:
    """Sum a simulation up."""
    done = [one for one in record.migrations if one.completed]
    moves = collections.Counter(one.instance for one in done)
    series = record.series
    return Figures(
        spread_mean=float(series.spread.mean()),
        peak_mean=float(series.peak.mean()),
        peak_p99=float(np.percentile(series.peak, 99)),
        over_hours=float(record.over_seconds.sum()) / 3600.0,
        plans=len(record.plans),
        moves=len(done),
        failed=len(record.migrations) - len(done),
        dropped=record.dropped,
        moves_a_day=len(done) / max(record.instance_days, 1e-9),
        gib=sum(one.taken.total_mib for one in record.migrations)
        / _MIB_PER_GIB,
        moved_twice=_moved_twice(done),
        moved_again=sum(count > 1 for count in moves.values()),
        most_moves=max(moves.values(), default=0),
        promised=sum(one.promised for one in record.verdicts),
        seen=sum(one.seen for one in record.verdicts),
        predicted_seconds=sum(one.predicted.total_seconds for one in done),
        taken_seconds=sum(one.taken.total_seconds for one in done),
        downtime_ms_mean=float(
            np.mean([one.taken.downtime_ms for one in done] or [0.0])
        ),
        arrived=record.arrived,
        departed=record.departed,
        refused=record.refused,
        failed_hosts=record.failed_hosts,
    )


def _moved_twice(done: list[records.Migration]) -> int:
    last: dict[str, float] = {}
    count = 0
    for one in sorted(done, key=lambda one: one.ended):
        before = last.get(one.instance)
        if before is not None and one.began - before < TWICE_SECONDS:
            count += 1
        last[one.instance] = one.ended
    return count
