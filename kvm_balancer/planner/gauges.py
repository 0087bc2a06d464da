"""What hosts can have too much of, and how moves change it.

A reading of a host is a share: of its cores or its memory that is in use, of
time in which something waited. What instances use of it is counted in units
of its own (cores, MiB, MiB a second), and a reading changes with what leaves
a host, or comes to it, in proportion:

- CPU, memory in use and allocated memory by what an instance has of them,
  over what the host has;
- steal, which is the time that virtual CPUs waited for a core, by the cores
  that get free, and by what the instance itself has waited for;
- pressure by the share of what all on the host use of the kind (cores,
  memory, disk traffic) that leaves it. That is a first step, and no law: the
  next look at the host tells what is left of it.

What an arrival adds to steal and pressure nobody can say beforehand. A host
that is over its limit takes nothing; what has waited finds cores where it
goes; and of what pressure is about, no host ends with more in use, by its
size, than the one that is relieved is left with. What nobody has measured
is missing, and not zero: such a host is not over any limit.
"""

import dataclasses
import functools

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan

Reading = plan.Reading

#: in use of a kind, in whatever unit: nothing that leaves changes that
_NOTHING = 1e-6
#: readings of which an arrival takes a share that is known beforehand
_ADDS_UP = (Reading.CPU, Reading.MEMORY, Reading.ALLOCATION)
_PRESSURES = (
    Reading.CPU_PRESSURE,
    Reading.MEMORY_PRESSURE,
    Reading.IO_PRESSURE,
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """How much of a reading each host may have.

    :ivar most: over which it has too much, infinite where it has no limit,
        shape ``(hosts,)``
    :ivar aim: that it is brought to then, and others are not brought over,
        shape ``(hosts,)``
    """

    reading: Reading
    most: columns.Floats
    aim: columns.Floats

    def text(self, hosts: columns.Bools | columns.Ints) -> str:
        """Return the limits of some hosts and what of, to read.

        :param hosts: rows, or which they are
        """
        found = self.most[hosts]
        found = found[np.isfinite(found)]
        name = self.reading.words
        if not len(found):
            return f'no limit of {name}'
        least, most = f'{found.min():.2f}', f'{found.max():.2f}'
        if least == most:
            return f'{most} {name}'
        return f'their limits of {least} to {most} {name}'


class Gauge:
    """One reading of all hosts of a fleet.

    :ivar adds_up: arrivals add to it what departures take from it
    :ivar compared: nobody is to end with more in use than who is relieved
    :ivar usage: what each instance has of it, in its own unit, shape
        ``(instances,)``
    :ivar size: what each host has for them in that unit; 1 where there is no
        such thing, shape ``(hosts,)``
    :ivar slope: by how much the reading changes with one unit, ``(hosts,)``
    """

    def __init__(self, fleet: columns.Fleet, reading: Reading) -> None:
        self.reading = reading
        self.adds_up = reading in _ADDS_UP
        self.compared = reading in _PRESSURES
        self._fleet = fleet
        self.usage = _usage(fleet, reading)
        self.size = _size(fleet, reading)
        #: what the host itself uses
        self._own = np.zeros(len(fleet.hosts))
        if reading in (Reading.CPU, Reading.CPU_PRESSURE, Reading.STEAL):
            self._own = fleet.hosts.cpu_overhead
        #: as it was read; NaN where it was not
        self.read = self._read()
        self.slope: columns.Floats = 1.0 / self.size
        if reading in _PRESSURES:
            used = self._own + self._before
            self.slope = np.where(
                used > _NOTHING, self.read / np.maximum(used, _NOTHING), 0.0
            )

    @functools.cached_property
    def _before(self) -> columns.Floats:
        """What instances use of it on each host; CPU is never asked."""
        return self._fleet.sum_by_host(self.usage)

    def _read(self) -> columns.Floats:
        fleet = self._fleet
        hosts = fleet.hosts
        if self.reading is Reading.CPU:
            return fleet.cpu_load
        if self.reading is Reading.ALLOCATION:
            return fleet.memory_load
        if self.reading is Reading.MEMORY:
            return hosts.memory_used_mib / hosts.memory_mib
        if self.reading is Reading.STEAL:
            waited = fleet.sum_by_host(fleet.instances.cpu_steal)
            return waited / hosts.cpus
        return {
            Reading.CPU_PRESSURE: hosts.cpu_pressure,
            Reading.MEMORY_PRESSURE: hosts.memory_pressure,
            Reading.IO_PRESSURE: hosts.io_pressure,
        }[self.reading]

    @property
    def known(self) -> bool:
        """True where any host tells of it."""
        return bool(np.isfinite(self.read).any())

    def in_use(self, state: placement.Placement) -> columns.Floats:
        """Return what is in use of its kind on each host, in its unit."""
        used: columns.Floats = self._own + self._sums(state)
        return used

    def _sums(self, state: placement.Placement) -> columns.Floats:
        found = np.bincount(
            state.host, weights=self.usage, minlength=len(self.size)
        )
        return found.astype(np.float64, copy=False)

    def load(self, state: placement.Placement) -> columns.Floats:
        """Return the reading of every host; NaN where nobody knows it."""
        if self.reading is Reading.CPU:
            return state.cpu_load
        return self.changed(self._sums(state) - self._before)

    def changed(self, change: columns.Floats) -> columns.Floats:
        """Return the reading where so much more is in use than was.

        :param change: in the unit of the reading, shape ``(hosts,)``
        """
        if not self.adds_up:
            change = np.minimum(change, 0.0)
        load: columns.Floats = self.read + self.slope * change
        return np.maximum(load, 0.0)

    def changed_on(self, host: int, change: float) -> float:
        """Return the same of one host."""
        if change > 0.0 and not self.adds_up:
            change = 0.0
        load = float(self.read[host] + self.slope[host] * change)
        return 0.0 if load < 0.0 else load

    def excess(
        self, state: placement.Placement, aim: columns.Floats | float
    ) -> columns.Floats:
        """Return what has to leave each host until it reads *aim*.

        In the unit of the reading; infinite where nothing that leaves helps,
        negative where more may come, NaN where nobody knows.
        """
        if self.reading is Reading.CPU:
            return state.cores - aim * self.size
        over = self.load(state) - aim
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            found: columns.Floats = over / self.slope
        return found


def _usage(fleet: columns.Fleet, reading: Reading) -> columns.Floats:
    instances = fleet.instances
    if reading is Reading.STEAL:
        return demand(fleet)
    if reading is Reading.ALLOCATION:
        return instances.memory_mib
    if reading in (Reading.MEMORY, Reading.MEMORY_PRESSURE):
        return instances.memory_usage_mib
    if reading is Reading.IO_PRESSURE:
        return instances.io_mib_s
    return instances.cpu_usage


def _size(fleet: columns.Fleet, reading: Reading) -> columns.Floats:
    hosts = fleet.hosts
    if reading is Reading.ALLOCATION:
        return hosts.memory_capacity_mib
    if reading in (Reading.MEMORY, Reading.MEMORY_PRESSURE):
        return hosts.memory_mib
    if reading is Reading.IO_PRESSURE:
        return np.ones(len(hosts))
    return hosts.cpus


def demand(fleet: columns.Fleet) -> columns.Floats:
    """Return the cores that instances would use if they need not wait."""
    found: columns.Floats = (
        fleet.instances.cpu_usage + fleet.instances.cpu_steal
    )
    return found
