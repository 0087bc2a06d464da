"""The simulated fleet as it truly is, and what happens to it.

All instances that ever exist have a row from the beginning; those to come
are copies of others, and are nowhere yet. Where new instances go is for a
scheduler to say that knows nothing of load: the host with most memory free,
as Nova's does.
"""

import collections.abc
import dataclasses
import functools
import heapq
import itertools

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.simulation import load as loads
from kvm_balancer.simulation import scenario as scenarios

#: columns of instances that a recorded load may change
LIVELY = ('memory_usage_mib', 'dirty_rate_mib_s', 'cold_rate_mib_s')
_NOWHERE = -1
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Moved:
    """An instance that somebody else has moved, by row."""

    instance: int
    source: int
    destination: int


#: What happens, given the moment it does.
_Deed = collections.abc.Callable[[float], None]


class World:
    """Hosts, instances, and where they are.

    :ivar base: all that ever exist, as they are but for CPU usage and place
    :ivar host: row of each instance's host, -1 for none
    :ivar up: hosts that run, shape ``(hosts,)``
    :ivar arrived: instances that came
    :ivar refused: arrivals that no host had room for
    :ivar population: changes with who exists
    """

    def __init__(
        self, fleet: columns.Fleet, scenario: scenarios.Scenario
    ) -> None:
        dice = scenarios.generator(scenario.seed, scenarios.Stream.EVENTS)
        self._dice = dice
        self._scenario = scenario
        wave = sum(one.instances for one in scenario.waves)
        days = scenario.seconds / scenarios.DAY_SECONDS
        came = int(dice.poisson(scenario.arrivals_a_day * days))
        self.base = _with_arrivals(fleet, came + wave, dice)
        self._born = self.base.instances
        first = len(fleet.instances)
        self.host: columns.Ints = np.full(
            len(self.base.instances), _NOWHERE, np.int32
        )
        self.host[:first] = fleet.instances.host
        self.up: columns.Bools = np.ones(len(fleet.hosts), np.bool_)
        self.arrived = self.departed = self.refused = self.failed = 0
        self.population = 0
        self.moved: list[Moved] = []
        self._next = first
        self._agenda: list[tuple[float, int, _Deed]] = []
        self._number = itertools.count()
        self._fill_agenda(came)

    def _fill_agenda(self, came: int) -> None:
        chosen, dice = self._scenario, self._dice
        days = chosen.seconds / scenarios.DAY_SECONDS
        for at in dice.uniform(0.0, chosen.seconds, came).tolist():
            self._at(at, functools.partial(self._arrive, 1))
        for wave in chosen.waves:
            self._at(wave.at, functools.partial(self._arrive, wave.instances))
        left = int(dice.poisson(chosen.departures_a_day * days))
        for at in dice.uniform(0.0, chosen.seconds, left).tolist():
            self._at(at, self._depart)
        rows = self.base.host_row
        for outage in chosen.outages:
            self._at(
                outage.at,
                functools.partial(
                    self._fail, rows[outage.host], outage.seconds
                ),
            )
        failures = int(dice.poisson(chosen.failures_a_day * days))
        repair = chosen.repair_hours * scenarios.HOUR_SECONDS
        for at in dice.uniform(0.0, chosen.seconds, failures).tolist():
            self._at(at, functools.partial(self._fail_any, repair))
        for theft in chosen.intrusions:
            self._at(theft.at, functools.partial(self._be_moved, theft))

    def happen(self, until: float) -> None:
        """Let everything happen that is due."""
        while self._agenda and self._agenda[0][0] <= until:
            at, _, deed = heapq.heappop(self._agenda)
            deed(at)

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """Rows of the instances that are on a host."""
        return np.flatnonzero(self.host >= 0)

    def live(self, memory: loads.Memory | None) -> None:
        """Let memory in use and dirty rates be as they are now.

        The cold part of a dirty rate keeps its share.
        """
        if memory is None:
            return
        base, born = self.base, self._born
        rates = memory.dirty_rate_mib_s
        rates = np.where(np.isnan(rates), born.dirty_rate_mib_s, rates)
        usage = memory.usage_mib
        usage = np.where(np.isnan(usage), born.memory_usage_mib, usage)
        before = np.maximum(born.dirty_rate_mib_s, _SLACK)
        self.base = base.updated(
            base.taken_at,
            base.hosts,
            dataclasses.replace(
                born,
                memory_usage_mib=np.minimum(usage, born.memory_mib),
                dirty_rate_mib_s=rates,
                cold_rate_mib_s=born.cold_rate_mib_s * rates / before,
            ),
        )

    def place(self, instance: int, host: int) -> None:
        """Put an instance on a host."""
        if (int(self.host[instance]) < 0) != (host < 0):
            self.population += 1
        self.host[instance] = host

    def _at(self, when: float, deed: _Deed) -> None:
        heapq.heappush(self._agenda, (when, next(self._number), deed))

    def _arrive(self, count: int, now: float) -> None:
        for instance in range(self._next, self._next + count):
            host = self._scheduled(instance)
            if host is None:
                self.refused += 1
                continue
            self.arrived += 1
            self.place(instance, host)
        self._next += count

    def _depart(self, now: float) -> None:
        rows = self.rows
        if len(rows):
            self.departed += 1
            self.place(int(self._dice.choice(rows)), _NOWHERE)

    def _fail_any(self, seconds: float, now: float) -> None:
        running = np.flatnonzero(self.up)
        if len(running) > 1:
            self._fail(int(self._dice.choice(running)), seconds, now)

    def _fail(self, host: int, seconds: float, now: float) -> None:
        if not self.up[host]:
            return
        self.failed += 1
        self.up[host] = False
        gone = self._scenario.evacuation_seconds
        self._at(now + gone, functools.partial(self._evacuate, host))
        self._at(
            now + max(seconds, gone),
            functools.partial(self._come_back, host),
        )

    def _evacuate(self, host: int, now: float) -> None:
        for instance in np.flatnonzero(self.host == host).tolist():
            there = self._scheduled(instance)
            # One without room elsewhere waits until its host is back.
            if there is not None:
                self.place(instance, there)

    def _come_back(self, host: int, now: float) -> None:
        self.up[host] = True

    def _be_moved(self, theft: scenarios.Intrusion, now: float) -> None:
        instance = self.base.instance_row[theft.instance]
        destination = self.base.host_row[theft.destination]
        source = int(self.host[instance])
        if source in (_NOWHERE, destination):
            return
        self.place(instance, destination)
        self.moved.append(Moved(instance, source, destination))

    def _scheduled(self, instance: int) -> int | None:
        """Return the host for an instance that arrives, if there is any."""
        hosts, instances = self.base.hosts, self.base.instances
        rows = self.rows
        used = np.bincount(
            self.host[rows],
            weights=instances.memory_mib[rows],
            minlength=len(hosts),
        )
        vcpus = np.bincount(
            self.host[rows],
            weights=instances.vcpus[rows],
            minlength=len(hosts),
        )
        free = hosts.memory_capacity_mib - used
        fits = (
            self.up
            & (hosts.state == columns.HostState.ENABLED)
            & (hosts.zone == hosts.zone[instances.host[instance]])
            & (free + _SLACK >= instances.memory_mib[instance])
            & (
                hosts.vcpu_capacity - vcpus + _SLACK
                >= instances.vcpus[instance]
            )
        )
        if not fits.any():
            return None
        return int(np.argmax(np.where(fits, free, -np.inf)))


def _with_arrivals(
    fleet: columns.Fleet, count: int, dice: np.random.Generator
) -> columns.Fleet:
    """Return *fleet* with copies of its instances below its own.

    They belong to no group: nobody has said so.
    """
    instances = fleet.instances
    if not count or not len(instances):
        return fleet
    rows = np.concatenate(
        (
            np.arange(len(instances)),
            dice.integers(0, len(instances), count),
        )
    )
    names = tuple(f'arrival-{number:06d}' for number in range(count))
    copied = {
        field.name: getattr(instances, field.name)[rows]
        for field in dataclasses.fields(instances)
        if field.name not in ('id', 'name')
    }
    return dataclasses.replace(
        fleet,
        instances=columns.Instances(
            id=(*instances.id, *names),
            name=(*instances.name, *names),
            **copied,
        ),
    )
