"""What simulations say that migrations take, against what they took.

The same guests over the same links: in virtual time as a fleet has them, who
were measured by an executor in its first quarter of an hour, and in real
libvirt and QEMU. Alone, and two at once that share the link. Told is also what
the simulation says of guests that were measured without an error: what is
left then is the model's own.
"""

import collections.abc
from concurrent import futures
import dataclasses
import itertools
import os
import pathlib

from benchmarks.migration import flights
from benchmarks.migration import foresight
from benchmarks.migration import ground
from benchmarks.migration import report
from benchmarks.migration import traces
from benchmarks.migration import ways
from kvm_balancer.lab import bootsector
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.service import dirty_rates
from kvm_balancer.service import forecast

_LIMIT = 0.15
_MEMORY_MIB, _FILLED_MIB = 512, 448
_WORKING_SET_MIB = 224
_IDLE = 0.25
#: An executor makes a round every five minutes.
_ROUNDS = 3
#: Guests that are measured side by side; the cases migrate one by one.
_SIDE_BY_SIDE = 6


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


@dataclasses.dataclass(frozen=True, slots=True)
class _Ready:
    """A case whose guests are up and measured."""

    case: Case
    uids: tuple[str, ...]
    seen: tuple[forecast.Guest, ...]


def run(
    place: ground.Ground,
    pairs: int,
    cases: collections.abc.Sequence[Case] = CASES,
    record: pathlib.Path | None = None,
) -> report.Report:
    """Simulate and migrate each case *pairs* times.

    :param record: where what was seen is added
    """
    told = _report()
    took: dict[str, list[list[float]]] = {}
    for ready in _readied(place, [*cases] * pairs):
        seen = _migrate(place, ready)
        if record is not None:
            traces.add(record, seen)
        took.setdefault(seen.case, []).append(_tell(told, seen))
    differs = [0.0]
    for rounds in took.values():
        for first, *others in zip(*rounds, strict=True):
            differs += [abs(one / first - 1.0) for one in others]
    told.identical = f'{100 * max(differs):.1f} % at most'
    return _sum_up(told)


def replay(path: pathlib.Path) -> report.Report:
    """Simulate what was recorded anew; needs no hypervisor.

    :raises ValueError: when nothing was
    """
    told = _report()
    for seen in traces.read(path):
        _tell(told, seen)
    if not told.rows:
        raise ValueError(f'{path}: nothing is recorded there')
    told.identical = 'nothing: they were recorded'
    return _sum_up(told)


def _report() -> report.Report:
    return report.Report(
        'simulated',
        'simulated against actual time of the same guests over the same link',
        f'each within {_LIMIT:.0%}',
    )


def _readied(
    place: ground.Ground, cases: collections.abc.Sequence[Case]
) -> collections.abc.Iterator[_Ready]:
    """Start the guests of cases and measure them, a few side by side."""
    together: list[Case] = []
    for case, after in itertools.zip_longest(cases, cases[1:]):
        together.append(case)
        guests = sum(len(one.rates) for one in together)
        if after is None or guests + len(after.rates) > _SIDE_BY_SIDE:
            yield from _measured(place, together)
            together = []


def _measured(
    place: ground.Ground, cases: collections.abc.Sequence[Case]
) -> collections.abc.Iterator[_Ready]:
    uids = [
        [place.guest(load, _MEMORY_MIB, _FILLED_MIB) for load in case.loads()]
        for case in cases
    ]
    flat = [*itertools.chain.from_iterable(uids)]
    with futures.ThreadPoolExecutor(len(flat)) as pool:
        windows = dirty_rates.Params().windows_seconds
        seen = pool.map(
            lambda uid: foresight.measure(place, uid, windows, _ROUNDS), flat
        )
        known = dict(zip(flat, seen, strict=True))
    for case, mine in zip(cases, uids, strict=True):
        yield _Ready(case, tuple(mine), tuple(known[uid] for uid in mine))


def _migrate(place: ground.Ground, ready: _Ready) -> traces.Together:
    """Migrate the guests of a case at once, and let them go."""
    case = ready.case
    place.limit(case.link_mib_s)
    with futures.ThreadPoolExecutor(len(ready.uids)) as pool:
        ended = pool.map(
            lambda uid, one: ways.ours(
                place,
                uid,
                case.options,
                forecast.predict(one, case.options, case.bandwidth_mib_s),
            ),
            ready.uids,
            ready.seen,
        )
        migrations = tuple(
            _recorded(load, seen, was)
            for load, seen, was in zip(
                case.loads(), ready.seen, ended, strict=True
            )
        )
    place.limit(None)
    for uid in ready.uids:
        place.remove(uid)
    return traces.Together(
        case.name,
        case.bandwidth_mib_s,
        case.post_copy,
        os.getloadavg()[0],
        migrations,
    )


def _recorded(
    load: bootsector.Load, seen: forecast.Guest, was: ways.Run
) -> traces.Migration:
    ended = was.outcome
    if ended is None:
        raise RuntimeError('our own migrations have outcomes')
    return traces.Migration(
        guest=_as_told(seen),
        load=load,
        seconds=was.seconds,
        mode=str(ended.mode),
        throttle_percent=ended.max_throttle_percent,
        transferred_mib=ended.transferred_mib,
        copying_seconds=(ended.copying_ms or 0.0) / 1000.0,
        track=ended.track,
    )


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


def _tell(told: report.Report, seen: traces.Together) -> list[float]:
    """Simulate what was migrated; return what each of it took."""
    for number, (one, foreseen, loaded) in enumerate(
        zip(seen.migrations, seen.simulated(), seen.as_loaded(), strict=True)
    ):
        told.rows.append(
            {
                'case': seen.case,
                'guest': number,
                'busy': seen.busy,
                'link': seen.bandwidth_mib_s,
                'had of it': one.sent_mib_s,
                'mode': one.mode,
                'throttle %': one.throttle_percent,
                'dirty': round(one.guest.dirty_rate_mib_s, 2),
                'hot': round(one.guest.hot_set_mib, 1),
                'cold': round(one.guest.cold_rate_mib_s, 2),
                'simulated s': round(foreseen, 2),
                'actual s': round(one.seconds, 2),
                'error %': _error(foreseen, one),
                'of the model %': _error(loaded, one),
            }
        )
        told.say(str(told.rows[-1]))
    return [one.seconds for one in seen.migrations]


def _error(seconds: float, was: traces.Migration) -> float:
    return round(100 * (seconds / was.seconds - 1), 1)


def _sum_up(told: report.Report) -> report.Report:
    for column, name in (
        ('error %', 'largest error %'),
        ('of the model %', 'largest error of the model %'),
    ):
        errors = [abs(float(row[column] or 0.0)) for row in told.rows]
        told.figures[name] = max(errors)
    told.reached = float(told.figures['largest error %'] or 0) <= 100 * _LIMIT
    return told
