"""The fleet: hosts, instances and groups at one moment, as columns.

One representation from ingest to planner. A row of :class:`Hosts` is a host,
a row of :class:`Instances` an instance, and everything that refers to them
does so by row number, so that 200,000 instances cost megabytes and a
question about all of them is one array operation.

A fleet is never changed in place once it is built. What a planner tries out
lives in copies of the few columns that a move changes.

Units are part of every name. A host's CPU load is ``cpu_overhead`` plus the
``cpu_usage`` of its instances, in cores, divided by ``cpus``; its memory load
is the ``memory_mib`` of its instances divided by what may be allocated.
"""

import dataclasses
import enum
import functools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

#: What an instance's metadata asks of its migrations: names and values.
Wishes = tuple[tuple[str, str], ...]


class HostState(enum.IntEnum):
    """Whether instances may arrive at and should leave a host."""

    ENABLED = 0
    #: instances may leave, none may arrive
    DISABLED = 1
    #: all movable instances must leave, none may arrive
    DRAINING = 2


class GroupPolicy(enum.IntEnum):
    """How the members of a server group want to live; Nova's words."""

    AFFINITY = 0
    ANTI_AFFINITY = 1
    SOFT_AFFINITY = 2
    SOFT_ANTI_AFFINITY = 3

    @property
    def hard(self) -> bool:
        """True where the policy is a rule and not a wish."""
        return self in (GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """One row a host; every array has the shape ``(hosts,)``.

    ``zone`` and ``cpu_model`` are indexes into the tuples ``zones`` and
    ``cpu_models`` of the fleet; ``aggregates`` has the shape
    ``(hosts, len(fleet.aggregates))``, and ``cpu_accepts`` the shape
    ``(hosts, len(fleet.cpu_models))``: true where an instance that now runs
    on that model may come to this host.
    """

    name: tuple[str, ...]
    cpus: Floats
    memory_mib: Floats
    memory_reserved_mib: Floats
    disk_gib: Floats
    cpu_allocation_ratio: Floats
    memory_allocation_ratio: Floats
    disk_allocation_ratio: Floats
    migration_mib_s: Floats
    max_incoming: Ints
    max_outgoing: Ints
    zone: Ints
    aggregates: Bools
    cpu_model: Ints
    cpu_accepts: Bools
    cpu_overhead: Floats
    state: Ints
    #: seconds since the host's last sample; 0 in a fleet read from a file
    sample_age_seconds: Floats
    #: true where that age is over what the operator allows
    silent: Bools
    #: memory in use by everything; NaN where nobody has told, as below
    memory_used_mib: Floats
    #: shares of time in which something waited for a core, for memory and
    #: for a disk, 0 to 1: what Linux calls pressure stall, "some"
    cpu_pressure: Floats
    memory_pressure: Floats
    io_pressure: Floats
    #: CPU load that the host has had all through the last while
    #: (``Fleet.lasting_seconds``), as far as is known; 0 where nothing is
    cpu_lasting: Floats
    #: CPU load by what was read last, or is foreseen where that is more; NaN
    #: where anything was not read yet
    cpu_last: Floats

    def __len__(self) -> int:
        return len(self.name)

    @property
    def counted_on(self) -> Bools:
        """Those that are enabled, and of which samples come."""
        enabled: Bools = self.state == HostState.ENABLED
        return enabled & ~self.silent

    @property
    def memory_capacity_mib(self) -> Floats:
        """What may be allocated to instances, in MiB."""
        usable = self.memory_mib - self.memory_reserved_mib
        return usable * self.memory_allocation_ratio

    @property
    def vcpu_capacity(self) -> Floats:
        """Virtual CPUs that may be allocated to instances."""
        return self.cpus * self.cpu_allocation_ratio

    @property
    def disk_capacity_gib(self) -> Floats:
        """GiB of disk that may be allocated; infinite where unknown (0)."""
        disk = self.disk_gib * self.disk_allocation_ratio
        return np.where(disk > 0, disk, np.inf)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """One row an instance; every array has the shape ``(instances,)``.

    ``requirement`` is an index into ``fleet.requirements``, the distinct
    sets of aggregates that instances require, and ``wish`` one into
    ``fleet.wishes``, the distinct sets of what they ask of migrations.
    """

    id: tuple[str, ...]
    name: tuple[str, ...]
    host: Ints
    vcpus: Floats
    memory_mib: Floats
    disk_gib: Floats
    #: cores in use, as the planner is to count them
    cpu_usage: Floats
    #: what a migration has to copy
    memory_usage_mib: Floats
    #: at which clean memory gets dirty at first; 0 where not known
    dirty_rate_mib_s: Floats
    #: what is rewritten over and over; 0 where not known
    hot_set_mib: Floats
    #: the part of the dirty rate that goes elsewhere
    cold_rate_mib_s: Floats
    #: cores' worth of time that it waited to run; 0 where not known
    cpu_steal: Floats
    #: what it reads from and writes to disks; 0 where not known
    io_mib_s: Floats
    #: may be moved at all: managed by us, not locked, not opted out
    movable: Bools
    requirement: Ints
    wish: Ints

    def __len__(self) -> int:
        return len(self.id)


def _none() -> Ints:
    return np.zeros(0, np.int32)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Transits:
    """Instances that a second host has as well: a migration is under way.

    One row a transit, whoever began the migration; every array has the shape
    ``(transits,)``.

    :ivar instance: row of the instance
    :ivar host: row of the second host; the first is ``instances.host``
    :ivar arriving: true where the instance is on its way to the second host,
        false where that has not let go of it yet
    """

    instance: Ints = dataclasses.field(default_factory=_none)
    host: Ints = dataclasses.field(default_factory=_none)
    arriving: Bools = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.bool_)
    )

    def __len__(self) -> int:
        return len(self.instance)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Server groups, and who belongs to them.

    ``member_instance`` and ``member_group`` have the shape
    ``(memberships,)`` and are sorted by group: the n-th membership says that
    instance ``member_instance[n]`` belongs to group ``member_group[n]``.
    """

    name: tuple[str, ...]
    policy: Ints
    max_per_host: Ints
    member_instance: Ints
    member_group: Ints

    def __len__(self) -> int:
        return len(self.name)

    def members(self, group: int) -> Ints:
        """Return the rows of the instances that belong to *group*."""
        first, last = np.searchsorted(self.member_group, (group, group + 1))
        return self.member_instance[first:last]


#: columns of instances that say what they take of hosts
_NEEDED = ('memory_mib', 'vcpus', 'disk_gib')


@dataclasses.dataclass(frozen=True, eq=False)
class Fleet:
    """All hosts, instances and groups at one moment.

    :ivar taken_at: seconds since the epoch, 0 where unknown
    :ivar zones: zone names, in the order of their index
    :ivar aggregates: aggregate names, in the order of their column
    :ivar cpu_models: CPU models, in the order of their index
    :ivar requirements: distinct required sets of aggregates, shape
        ``(sets, len(aggregates))``; row 0 requires nothing
    :ivar wishes: distinct sets of wishes; number 0 asks for nothing
    :ivar transits: who is on two hosts; nobody in a fleet from a file
    :ivar lasting_seconds: how long ``hosts.cpu_lasting`` has lasted
    """

    hosts: Hosts
    instances: Instances
    groups: Groups
    taken_at: float
    zones: tuple[str, ...]
    aggregates: tuple[str, ...]
    cpu_models: tuple[str, ...]
    requirements: Bools
    wishes: tuple[Wishes, ...] = ((),)
    transits: Transits = dataclasses.field(default_factory=Transits)
    lasting_seconds: float = 0.0

    @functools.cached_property
    def host_row(self) -> dict[str, int]:
        """Rows of hosts by name."""
        return {name: row for row, name in enumerate(self.hosts.name)}

    @functools.cached_property
    def instance_row(self) -> dict[str, int]:
        """Rows of instances by id."""
        return {uid: row for row, uid in enumerate(self.instances.id)}

    def updated(
        self, taken_at: float, hosts: Hosts, instances: Instances
    ) -> 'Fleet':
        """Return the same hosts and instances at another moment.

        What depends on their names alone is worked out once for all of
        them, which are asked for it sooner or later.

        :param hosts: with the names of these, likewise *instances*
        """
        found = dataclasses.replace(
            self, taken_at=taken_at, hosts=hosts, instances=instances
        )
        for name in ('host_row', 'instance_row'):
            found.__dict__[name] = getattr(self, name)
        for name in ('groups_of', 'grouped'):
            if name in self.__dict__:
                found.__dict__[name] = self.__dict__[name]
        if all(
            getattr(instances, name) is getattr(self.instances, name)
            for name in _NEEDED
        ):
            found.__dict__['need'] = self.need
        return found

    def relocated(self, rows: Ints, hosts: Ints) -> 'Fleet':
        """Return the same fleet with some instances on other hosts.

        What is in use on hosts is changed by what moves, and not added up
        again: in a large fleet that takes long, and few move at a time.

        :param rows: of the instances, none of them twice
        :param hosts: where each is now, by row
        """
        where = self.instances.host.copy()
        left = where[rows]
        where[rows] = hosts
        found = self.updated(
            self.taken_at,
            self.hosts,
            dataclasses.replace(self.instances, host=where),
        )
        sums = np.vstack((self.allocated, self.cores))
        usage = self.instances.cpu_usage[rows]
        moved = np.vstack((self.need[:, rows], usage))
        for total, taken in zip(sums, moved, strict=True):
            np.subtract.at(total, left, taken)
            np.add.at(total, hosts, taken)
        found.__dict__.update(allocated=sums[:-1], cores=sums[-1])
        return found

    def sum_by_host(self, column: Floats) -> Floats:
        """Add up a column of the instances over the hosts they are on.

        :param column: shape ``(instances,)``
        :returns: shape ``(hosts,)``
        """
        total = np.bincount(
            self.instances.host, weights=column, minlength=len(self.hosts)
        )
        return total.astype(np.float64, copy=False)

    @functools.cached_property
    def groups_of(self) -> dict[int, tuple[int, ...]]:
        """Rows of the groups of every instance that is in one."""
        found: dict[int, tuple[int, ...]] = {}
        for one, group in zip(
            self.groups.member_instance.tolist(),
            self.groups.member_group.tolist(),
            strict=True,
        ):
            found[one] = (*found.get(one, ()), group)
        return found

    @functools.cached_property
    def grouped(self) -> Bools:
        """Instances that are in a group, shape ``(instances,)``."""
        found = np.zeros(len(self.instances), np.bool_)
        found[self.groups.member_instance] = True
        return found

    @functools.cached_property
    def need(self) -> Floats:
        """What instances take of hosts: memory, vCPUs and disk.

        :returns: shape ``(3, instances)``
        """
        return np.stack([getattr(self.instances, name) for name in _NEEDED])

    @functools.cached_property
    def allocated(self) -> Floats:
        """What instances take of each host, shape ``(3, hosts)``."""
        return np.stack([self.sum_by_host(row) for row in self.need])

    @functools.cached_property
    def cores(self) -> Floats:
        """Cores in use on every host."""
        found: Floats = self.hosts.cpu_overhead + self.sum_by_host(
            self.instances.cpu_usage
        )
        return found

    @functools.cached_property
    def cpu_load(self) -> Floats:
        """CPU load of every host, 1.0 being all of its cores."""
        return self.cores / self.hosts.cpus

    @functools.cached_property
    def memory_load(self) -> Floats:
        """Allocated share of what may be allocated, for every host."""
        load: Floats = self.allocated[0] / self.hosts.memory_capacity_mib
        return load

    @functools.cached_property
    def counted(self) -> Bools:
        """Hosts over which spread and peak are taken.

        All that do not drain and still report: what load the others have
        nobody knows, and it is no reason to move anything elsewhere. Where
        there are none such, all count.
        """
        draining = self.hosts.state == HostState.DRAINING
        counted: Bools = ~draining & ~self.hosts.silent
        if not counted.any():
            return np.ones_like(counted)
        return counted
