"""Where every instance is while a plan is being made.

Copies of the few columns that a move changes, over a fleet that does not.
A migration that already runs is counted as arrived where load is counted,
while its room stays held on both of its ends: whether the agent asked for it,
or the samples of two hosts show the instance.
"""

import collections.abc
import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns

#: rows of ``Placement.room`` and ``Placement.need``
MEMORY_MIB: Final = 0
VCPUS: Final = 1
DISK_GIB: Final = 2
RESOURCES: Final = ('memory', 'vCPU', 'disk')


@dataclasses.dataclass(frozen=True, slots=True)
class InFlight:
    """A migration that runs while a plan is being made, by row numbers."""

    instance: int
    destination: int


class Placement:
    """The working state of a search; filters and weighers read it.

    :ivar host: row of each instance's host, shape ``(instances,)``
    :ivar room: what is free to be allocated, shape ``(3, hosts)``, rows
        ``MEMORY_MIB``, ``VCPUS``, ``DISK_GIB``; negative where overfilled
    :ivar need: what each instance takes of it, shape ``(3, instances)``
    :ivar cores: cores in use on each host, shape ``(hosts,)``
    :ivar incoming_mib: what the moves so far bring to each host
    :ivar outgoing_mib: what they take from it
    :ivar in_flight: true for instances that a running migration holds
    :ivar leaving: the host that each of them is still held on, by row
    """

    def __init__(
        self,
        fleet: columns.Fleet,
        in_flight: collections.abc.Iterable[InFlight] = (),
    ) -> None:
        self.fleet = fleet
        self._migrations = tuple(in_flight)
        self.need: columns.Floats = fleet.need
        self.reset()

    def reset(self) -> None:
        """Put everything back to where it is in the fleet."""
        fleet = self.fleet
        hosts, instances = fleet.hosts, fleet.instances
        self.host: npt.NDArray[np.int32] = instances.host.copy()
        self.room: columns.Floats = (
            np.stack(
                (
                    hosts.memory_capacity_mib,
                    hosts.vcpu_capacity,
                    hosts.disk_capacity_gib,
                )
            )
            - fleet.allocated
        )
        self.cores: columns.Floats = fleet.cores.copy()
        self.incoming_mib: columns.Floats = np.zeros(len(hosts))
        self.outgoing_mib: columns.Floats = np.zeros(len(hosts))
        self.in_flight: columns.Bools = np.zeros(len(instances), np.bool_)
        self.leaving: dict[int, int] = {}
        for one in self._migrations:
            self._bring(one.instance, one.destination)
        transits = fleet.transits
        for instance, host, arriving in zip(
            transits.instance.tolist(),
            transits.host.tolist(),
            transits.arriving.tolist(),
            strict=True,
        ):
            if arriving:
                self._bring(instance, host)
            self._hold(instance, host)

    def begin(self, instance: int, destination: int) -> None:
        """Count a migration as running from now on, until a reset."""
        self._bring(instance, destination)

    def _bring(self, instance: int, destination: int) -> None:
        """Count an instance where it goes, and hold what it leaves."""
        source = int(self.host[instance])
        known = bool(self.in_flight[instance])
        self.in_flight[instance] = True
        if known or source == destination:
            return
        self.move((instance,), destination)
        self._hold(instance, source)

    def _hold(self, instance: int, host: int) -> None:
        """Hold what an instance takes of a host that it is not counted on.

        Of one host only: a migration has two ends.
        """
        self.in_flight[instance] = True
        if host == self.host[instance] or instance in self.leaving:
            return
        self.room[:, host] -= self.need[:, instance]
        self.leaving[instance] = host

    def hosts_of(self, instances: npt.NDArray[np.int32]) -> columns.Ints:
        """Return every host that holds one of *instances*, once for each.

        One that a running migration holds stands on both of its ends.
        """
        here = self.host[instances]
        both = [
            self.leaving[one]
            for one in instances[self.in_flight[instances]].tolist()
            if one in self.leaving
        ]
        return np.concatenate((here, np.array(both, np.int32)))

    @property
    def cpu_load(self) -> columns.Floats:
        """CPU load of every host, 1.0 being all of its cores."""
        load: columns.Floats = self.cores / self.fleet.hosts.cpus
        return load

    @property
    def memory_load(self) -> columns.Floats:
        """Allocated share of what may be allocated, for every host.

        Room held by a running migration on its source counts as allocated.
        """
        capacity = self.fleet.hosts.memory_capacity_mib
        load: columns.Floats = 1.0 - self.room[MEMORY_MIB] / capacity
        return load

    def move(
        self,
        instances: collections.abc.Sequence[int] | npt.NDArray[np.int32],
        destination: int,
    ) -> None:
        """Move *instances*, all of one host, to *destination*."""
        source = self.host[instances[0]]
        columns_of = self.fleet.instances
        for one in instances:
            need = self.need[:, one]
            self.room[:, source] += need
            self.room[:, destination] -= need
            usage = columns_of.cpu_usage[one]
            self.cores[source] -= usage
            self.cores[destination] += usage
            mib = columns_of.memory_usage_mib[one]
            self.outgoing_mib[source] += mib
            self.incoming_mib[destination] += mib
            self.host[one] = destination

    def take_back(self, instances: npt.NDArray[np.int32], origin: int) -> None:
        """Undo that *instances*, all of one host, were moved from *origin*.

        As if it had never been: a move back would count as one more.
        """
        host = self.host[instances[0]]
        self.move(instances, origin)
        mib = float(self.fleet.instances.memory_usage_mib[instances].sum())
        for carried in (self.incoming_mib, self.outgoing_mib):
            carried[host] -= mib
            carried[origin] -= mib
