"""What simulations say that migrations take, against what they took.

The same guests over the same links: first as a fleet has them, measured by
an executor, in virtual time, then in real libvirt and QEMU. Alone, and two at
once that share the link.
"""

import collections.abc
from concurrent import futures
import dataclasses

from benchmarks.migration import flights
from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import report
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.service import forecast

_LIMIT = 0.15
_MEMORY_MIB, _FILLED_MIB = 512, 448
_WORKING_SET_MIB = 224
_IDLE = 0.25


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """Guests that migrate at once.

    :ivar rates: dirty rate of each, over all of the bandwidth; 0 for idle
    """

    name: str
    rates: tuple[float, ...]
    post_copy: bool = False
    link_mib_s: float = 48.0

    @property
    def options(self) -> request.Options:
        """What their migrations are allowed."""
        return request.Options(post_copy=self.post_copy)

    @property
    def bandwidth_mib_s(self) -> float:
        """What memory can use of the link."""
        return self.link_mib_s * ground.PAYLOAD

    def loads(self) -> collections.abc.Iterator[bootsector.Load]:
        """Yield what each of the guests does."""
        for rate in self.rates:
            yield bootsector.Load(
                cpu=0.0,
                dirty_mib_s=max(_IDLE, rate * self.bandwidth_mib_s),
                working_set_mib=_WORKING_SET_MIB if rate else 1,
            )


CASES = (
    Case('idle', (0.0,)),
    Case('idle, twice the link', (0.0,), link_mib_s=96.0),
    Case('0.3 of the bandwidth', (0.3,)),
    Case('0.7 of the bandwidth', (0.7,)),
    Case('throttled', (1.5,), link_mib_s=96.0),
    Case('post-copy', (1.5,), post_copy=True),
    Case('two idle', (0.0, 0.0)),
    Case('two, idle and busy', (0.0, 0.3)),
    Case('two busy', (0.2, 0.3)),
    Case('two by post-copy', (1.5, 1.0), post_copy=True),
    Case('two, one by post-copy', (0.0, 1.5), post_copy=True),
)


def run(place: ground.Ground, pairs: int) -> report.Report:
    """Simulate and migrate each case *pairs* times."""
    told = report.Report(
        'simulated',
        'simulated against actual time of the same guests over the same link',
        f'each within {_LIMIT:.0%}',
    )
    differs = [0.0]
    for case in CASES:
        rounds = [_once(place, case, told) for _ in range(pairs)]
        for first, *others in zip(*rounds, strict=True):
            differs += [abs(one / first - 1.0) for one in others]
    worst = max(abs(float(row['error %'] or 0.0)) for row in told.rows)
    told.figures['largest error %'] = worst
    told.reached = worst <= 100 * _LIMIT
    told.identical = f'{100 * max(differs):.1f} % at most'
    return told


def _once(
    place: ground.Ground, case: Case, told: report.Report
) -> list[float]:
    """Simulate and migrate one case; return the seconds of each guest."""
    loads = list(case.loads())
    with futures.ThreadPoolExecutor(len(loads)) as pool:
        uids = [place.guest(load, _MEMORY_MIB, _FILLED_MIB) for load in loads]
        seen = list(pool.map(lambda uid: foresight.measure(place, uid), uids))
        guests = [_as_told(one) for one in seen]
        expected = flights.seconds(guests, case.bandwidth_mib_s, case.options)
        place.limit(case.link_mib_s)
        ended = list(
            pool.map(
                lambda uid, one: ways.ours(
                    place,
                    uid,
                    case.options,
                    forecast.predict(one, case.options, case.bandwidth_mib_s),
                ),
                uids,
                seen,
            )
        )
    place.limit(None)
    for number, (guest, foreseen, was) in enumerate(
        zip(guests, expected, ended, strict=True)
    ):
        record = was.outcome
        told.rows.append(
            {
                'case': case.name,
                'guest': number,
                'bandwidth': case.bandwidth_mib_s,
                'post-copy allowed': case.post_copy,
                'mode': str(record.mode) if record else '',
                'throttle %': record.max_throttle_percent if record else 0,
                **_rounded(guest),
                'simulated s': round(foreseen, 2),
                'actual s': round(was.seconds, 2),
                'error %': round(100 * (foreseen / was.seconds - 1), 1),
            }
        )
        told.say(str(told.rows[-1]))
    for uid in uids:
        place.remove(uid)
    return [one.seconds for one in ended]


def _as_told(seen: forecast.Guest) -> flights.Guest:
    """Return what a fleet has of a guest that was measured."""
    writes = seen.writes or hot_set.HotSet(0.0, 0.0, 0.0)
    return flights.Guest(
        memory_mib=_MEMORY_MIB,
        memory_usage_mib=seen.memory_mib,
        dirty_rate_mib_s=writes.dirty_rate_mib_s,
        hot_set_mib=writes.hot_set_mib,
        cold_rate_mib_s=writes.cold_rate_mib_s,
        cpu_usage=seen.cpu_cores,
    )


def _rounded(guest: flights.Guest) -> dict[str, float]:
    return {
        name: round(value, 2)
        for name, value in dataclasses.asdict(guest).items()
        if name != 'disk_gib'
    }
