"""Whether the agent stays calm: figures of simulated days and weeks.

Run ``python -m benchmarks.simulation [NAME ...]``; ``--short`` for the
variants that the tests hold. The load of the first case is recorded: 50
instances of the Bitbrains data centre over a week (a part of the
``bitbrains-small`` trace of atlarge-research/opendc, under the MIT licence),
in cores.
"""

import argparse
import collections.abc
import dataclasses
import pathlib
import time

import numpy as np
from rich import console
from rich import table

from kvm_balancer.filters import aggregates
from kvm_balancer.filters import capacity
from kvm_balancer.filters import cpu_compatibility
from kvm_balancer.filters import groups
from kvm_balancer.filters import host_state
from kvm_balancer.filters import stale_host
from kvm_balancer.filters import zone
from kvm_balancer.messages import load_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import records
from kvm_balancer.model import shapes
from kvm_balancer.model import traces
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import decision
from kvm_balancer.policies import relieve
from kvm_balancer.policies import spread
from kvm_balancer.simulation import engine
from kvm_balancer.simulation import figures
from kvm_balancer.simulation import load as loads
from kvm_balancer.simulation import mind
from kvm_balancer.simulation import record as recording
from kvm_balancer.simulation import scenario as scenarios
from kvm_balancer.weighers import base as weigher_base
from kvm_balancer.weighers import cpu
from kvm_balancer.weighers import memory

_TRACE = (
    pathlib.Path(__file__).parents[1]
    / 'tests'
    / 'fixtures'
    / 'bitbrains-week.csv.gz'
)
LIMIT = 0.8
_HOUR = 3600.0
#: Drawn from what was recorded, for figures of few moves.
_LOADS = 5
#: A case this long has enough hot hours to compare.
_WHOLE_DAYS = 7.0
#: Of loads that are drawn or made up: other figures hold under each.
_SEEDS = (1, 2, 3)
_FILTERS = (
    host_state.HostStateFilter(),
    stale_host.StaleHostFilter(),
    zone.ZoneFilter(),
    cpu_compatibility.CpuCompatibilityFilter(),
    aggregates.AggregatesFilter(),
    groups.GroupsFilter(),
    capacity.CapacityFilter(),
)
_WEIGHERS = (
    weigher_base.Weighted(cpu.CpuWeigher()),
    weigher_base.Weighted(memory.MemoryWeigher()),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One figure: what was found, and what was to be reached.

    :ivar reached: None where there is nothing to reach
    """

    name: str
    found: str
    aim: str
    reached: bool | None


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """How large a case is.

    :ivar days: of the case that simulates a week
    """

    hosts: int
    instances: int
    days: float


FULL = Size(100, 1000, 7.0)
SHORT = Size(20, 200, 0.5)


def agent(**changes: object) -> mind.Agent:
    """Return an agent as it is installed, but for *changes*."""
    fields: dict[str, object] = {
        'watches': (
            decision.Watch(relieve.Relieve(), 120.0),
            decision.Watch(spread.Spread(), 600.0),
        ),
        'template': contexts.Context(
            filters=_FILTERS,
            weighers=_WEIGHERS,
            limits=contexts.Limits(budget_seconds=5.0),
        ),
        'cooldowns': cooldown.Params(),
    }
    return mind.Agent(**(fields | changes))  # type: ignore[arg-type]


def undamped() -> mind.Agent:
    """Return one that acts at first sight, and lets nobody cool down.

    By the average alone: there it moves the least, and is the hardest to
    keep up with.
    """
    return agent(
        ingest=observation.Params(lasting_seconds=0.0),
        watches=(
            decision.Watch(relieve.Relieve(), 0.0),
            decision.Watch(spread.Spread(), 0.0),
        ),
        cooldowns=cooldown.Params(0.0, 0.0),
    )


def random_fleet(size: Size, cpus: int = 24, vcpus: int = 8) -> columns.Fleet:
    """Put instances on hosts at random, as a scheduler does by memory."""
    dice = np.random.default_rng(1)
    hosts = [
        records.HostRecord(
            name=f'host-{row:04d}', cpus=cpus, memory_mib=262144
        )
        for row in range(size.hosts)
    ]
    instances = [
        records.InstanceRecord(
            id=f'instance-{row:05d}',
            host=f'host-{dice.integers(size.hosts):04d}',
            vcpus=vcpus,
            memory_mib=8192,
            memory_usage_mib=5000,
            dirty_rate_mib_s=float(dice.uniform(1.0, 60.0)),
        )
        for row in range(size.instances)
    ]
    return records.build_fleet(hosts, instances)


def even_fleet(size: Size, cpu_usage: float) -> columns.Fleet:
    """Put the same number of like instances on each of ten-core hosts."""
    each = size.instances // size.hosts
    return records.build_fleet(
        [
            records.HostRecord(name=f'h{row:04d}', cpus=10, memory_mib=131072)
            for row in range(size.hosts)
        ],
        [
            records.InstanceRecord(
                id=f'i{row:04d}-{number}',
                host=f'h{row:04d}',
                vcpus=4,
                memory_mib=4096,
                cpu_usage=cpu_usage,
                dirty_rate_mib_s=20.0,
            )
            for row in range(size.hosts)
            for number in range(each)
        ],
    )


def trace() -> traces.Traces:
    """Return the recorded week."""
    return load_document.decode(_TRACE.read_bytes())


def lived(
    size: Size,
    chosen: mind.Agent,
    seed: int,
    scenario: scenarios.Scenario,
) -> figures.Figures:
    """Live through recorded load with an agent."""
    recorded, step_seconds = trace(), scenario.step_seconds
    return figures.summed_up(
        engine.run(
            random_fleet(size),
            lambda one: loads.recorded(one, recorded, step_seconds, seed),
            chosen,
            scenario,
        )
    )


def week(size: Size) -> collections.abc.Iterator[Finding]:
    """Live through a week of recorded load, in several realizations."""
    scenario = scenarios.Scenario(hours=24.0 * size.days, limit=LIMIT)
    ours, hasty, nothing = (
        [lived(size, chosen, seed, scenario) for seed in _SEEDS]
        for chosen in (agent(), undamped(), agent(watches=()))
    )
    yield _worst(
        'moves an instance a day',
        [one.moves_a_day for one in ours],
        0.5,
        f'{_each(one.moves_a_day for one in hasty)} undamped',
    )
    yield _worst(
        'moved twice within 2 hours', [one.moved_twice for one in ours], 0.5
    )
    hours = _each(one.over_hours for one in ours)
    if size.days >= _WHOLE_DAYS:
        # In half a day, one who never waits is never late.
        yield _worst(
            'time over the limit, against undamped',
            _ratios(ours, hasty),
            1.1,
            f'{hours} h, {_each(one.over_hours for one in hasty)} h undamped',
        )
    yield _worst(
        'time over the limit, against nothing',
        _ratios(ours, nothing),
        0.2,
        f'{_each(one.over_hours for one in nothing)} h with nothing done',
    )


def _ratios(
    ours: collections.abc.Iterable[figures.Figures],
    others: collections.abc.Iterable[figures.Figures],
) -> list[float]:
    """Return our time over the limit against that of others, by seed."""
    return [
        one.over_hours / max(other.over_hours, 1e-9)
        for one, other in zip(ours, others, strict=True)
    ]


class _Minutes:
    """A load whose bursts last for a minute: none goes on into another."""

    def __init__(self, under: loads.Synthetic) -> None:
        self._under = under
        self._moment = -1
        self._bursting = np.zeros(len(under.most), np.bool_)
        self._before = self._bursting

    def cpu_usage(self, seconds: float) -> columns.Floats:
        usage = self._under.cpu_usage(seconds)
        bursting = usage >= self._under.most
        moment = int(seconds // self._under.moment_seconds)
        if moment != self._moment:
            self._moment, self._before = moment, self._bursting
        self._bursting = bursting & ~self._before
        found: columns.Floats = np.where(
            bursting & self._before, self._under.level, usage
        )
        return found

    def memory(self, seconds: float) -> loads.Memory | None:
        return self._under.memory(seconds)


def noise(size: Size) -> collections.abc.Iterator[Finding]:
    """Live through days on which nothing is wrong."""
    fleet = even_fleet(size, 0.5)
    late: list[float] = []
    for seed in _SEEDS:
        record = engine.run(
            fleet,
            lambda one, seed=seed: _Minutes(  # type: ignore[misc]
                loads.synthetic(
                    one,
                    seed,
                    swing=0.0,
                    weekend=1.0,
                    noise=0.4,
                    bursting=0.002,
                    moment_seconds=60.0,
                )
            ),
            agent(),
            scenarios.Scenario(hours=24.0),
        )
        late.append(sum(one.began > _HOUR for one in record.migrations))
    yield _worst('moves after the first hour of noise', late, 0.5)


def burst(size: Size) -> collections.abc.Iterator[Finding]:
    """Let a tenth of the hosts be hot for a minute, again and again."""
    fleet = even_fleet(size, 0.6)
    busy = np.flatnonzero(fleet.instances.host < size.hosts // 10)
    begins = [_HOUR + 907.0 * number for number in range(12)]
    record = engine.run(
        fleet,
        lambda one: loads.Stepped(
            loads.synthetic(one, 1, swing=0.0, weekend=1.0, noise=0.02),
            busy,
            1.7,
            [(begin, begin + 60.0) for begin in begins],
            one.vcpus,
        ),
        agent(),
        scenarios.Scenario(hours=4.0, step_seconds=10.0),
    )
    yield _below(
        'moves by bursts of a minute', len(record.migrations), 0.5, 'aim 0'
    )


def peak(size: Size) -> collections.abc.Iterator[Finding]:
    """Look at a daily peak for two days, and meet the third."""
    fleet = even_fleet(size, 0.6)
    busy = np.flatnonzero(fleet.instances.host < size.hosts // 5)
    spans = [
        (day * 86_400.0 + 9 * _HOUR, day * 86_400.0 + 12 * _HOUR)
        for day in range(3)
    ]
    over = {}
    for ahead in (0.0, 1800.0):
        record = engine.run(
            fleet,
            lambda one: loads.Stepped(
                loads.synthetic(one, 1, swing=0.0, weekend=1.0, noise=0.05),
                busy,
                1.7,
                spans,
                one.vcpus,
            ),
            agent(
                watches=(decision.Watch(relieve.Relieve(), 120.0),),
                ingest=observation.Params(foresight_seconds=ahead),
            ),
            scenarios.Scenario(
                hours=72.0, watch_hours=48.0, step_seconds=60.0
            ),
        )
        over[ahead] = float(record.over_seconds.sum())
    yield _below(
        'time over the limit on the third day, predictive',
        over[1800.0] / max(over[0.0], 1e-9),
        0.3,
        f'{over[1800.0] / 60:.0f} of {over[0.0] / 60:.0f} host minutes',
    )


def step(size: Size) -> collections.abc.Iterator[Finding]:
    """Let a tenth of the hosts become hot at once."""
    fleet = even_fleet(size, 0.6)
    busy = np.flatnonzero(fleet.instances.host < size.hosts // 10)
    begins = _HOUR
    hold = 120.0
    chosen = agent(watches=(decision.Watch(relieve.Relieve(), hold),))
    record = engine.run(
        fleet,
        lambda one: loads.Stepped(
            loads.synthetic(one, 1, swing=0.0, weekend=1.0, noise=0.02),
            busy,
            1.7,
            ((begins, np.inf),),
            one.vcpus,
        ),
        chosen,
        scenarios.Scenario(hours=4.0, step_seconds=10.0, surprise=0.0),
    )
    hot = record.series.second[record.series.over > 0]
    taken = float(hot.max() - begins) if len(hot) else 0.0
    window = _detection(chosen, hold)
    bound = _makespan(record)
    yield _below(
        'time until all are under the limit',
        taken / (window + bound),
        1.2,
        f'{taken:.0f} s, window {window:.0f} s, bound {bound:.0f} s',
    )


def _detection(chosen: mind.Agent, hold: float) -> float:
    """Return how long a step is looked at before it is acted on.

    Until the average is where it will be, to 95 %, and for the hold time;
    decisions come at their interval.
    """
    return 3.0 * chosen.ingest.ewma_seconds + hold + chosen.interval_seconds


def _makespan(record: recording.Record) -> float:
    """Return how soon nobody has carried out what was moved.

    So many at a time in the fleet, as they were predicted.
    """
    seconds = [one.predicted.seconds for one in record.migrations]
    return sum(seconds) / 8.0 if seconds else 0.0


def samples(size: Size) -> collections.abc.Iterator[Finding]:
    """Lose a third of the samples, and believe some that are wrong.

    Under several loads: under one of them few moves more or less are chance.
    On a small fleet a single plan that just reaches its target makes a third
    of all moves, or none: there the load in the middle counts, not the sum.
    """
    clean, bad = (
        [
            lived(
                size,
                agent(),
                seed,
                scenarios.Scenario(
                    hours=12.0 * min(size.days, 1.0),
                    step_seconds=10.0,
                    samples=wrong,
                ),
            ).moves
            for seed in range(1, _LOADS + 1)
        ]
        for wrong in (
            scenarios.Samples(),
            scenarios.Samples(lost=0.3, wrong=0.05, wrong_by=10.0),
        )
    )
    more = sum(bad) / max(sum(clean), 1)
    if size.days < _WHOLE_DAYS:
        each = [one / max(of, 1) for one, of in zip(bad, clean, strict=True)]
        more = float(np.median(each))
    yield _below(
        'moves with bad samples, against without',
        more,
        1.1,
        f'{_each(bad)} of {_each(clean)}',
    )


def history(size: Size) -> collections.abc.Iterator[Finding]:
    """Keep the days of 200,000 instances."""
    made = shapes.Shapes()
    made.grow(200_000)
    mib = made.nbytes / 2**20
    yield _below('MiB of history of 200,000 instances', mib, 150.0, '')


def speed(size: Size) -> collections.abc.Iterator[Finding]:
    """Take the processor time of a simulated week."""
    fleet, recorded = random_fleet(size), trace()
    began = time.process_time()
    engine.run(
        fleet,
        lambda one: loads.recorded(one, recorded, 30.0, 1),
        agent(),
        scenarios.Scenario(hours=24.0 * size.days),
    )
    yield _below(
        'CPU seconds of a simulated week',
        time.process_time() - began,
        60.0,
        f'{size.hosts} hosts',
    )


CASES: dict[
    str, collections.abc.Callable[[Size], collections.abc.Iterator[Finding]]
] = {
    one.__name__: one
    for one in (week, noise, burst, peak, step, samples, history, speed)
}


def _worst(
    name: str,
    values: collections.abc.Sequence[float],
    aim: float,
    also: str = '',
) -> Finding:
    """Hold the worst of several realizations against an aim."""
    told = '; '.join(one for one in (f'seeds: {_each(values)}', also) if one)
    return _below(name, max(values), aim, told)


def _each(values: collections.abc.Iterable[float]) -> str:
    return ', '.join(f'{one:.3g}' for one in values)


def _below(name: str, value: float, aim: float, also: str) -> Finding:
    told = f'{value:.3g}' + (f' ({also})' if also else '')
    return Finding(name, told, f'< {aim:g}', value < aim)


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Run the cases of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--short', action='store_true')
    chosen = parser.parse_args(argv)
    for name in chosen.names:
        if name not in CASES:
            parser.error(f'there is no {name}; there are {", ".join(CASES)}')
    shown = table.Table(title='Simulated')
    for title in ('figure', 'found', 'aim', 'reached'):
        shown.add_column(title)
    for name in chosen.names or CASES:
        for one in CASES[name](SHORT if chosen.short else FULL):
            shown.add_row(
                one.name, one.found, one.aim, 'yes' if one.reached else 'NO'
            )
    console.Console().print(shown)


if __name__ == '__main__':
    main()
