"""Hosts, instances and groups one at a time, and a fleet made from them.

Records are for reading and writing by people and documents; whoever plans
works on the columns of :mod:`kvm_balancer.model.fleet`.
"""

import collections.abc
import dataclasses
from typing import Protocol
from typing import TypeVar

import numpy as np

from kvm_balancer.model import fleet as columns

Name = TypeVar('Name', bound=collections.abc.Hashable)


@dataclasses.dataclass(frozen=True, slots=True)
class HostRecord:
    """One host; the defaults are those of the public fleet format.

    What was not measured is None: it is missing, and not zero.
    """

    name: str
    cpus: float
    memory_mib: float
    memory_reserved_mib: float = 0.0
    disk_gib: float = 0.0
    cpu_allocation_ratio: float = 16.0
    memory_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    migration_mib_s: float = 1120.0
    max_incoming: int = 2
    max_outgoing: int = 2
    zone: str = ''
    aggregates: tuple[str, ...] = ()
    cpu_model: str = ''
    cpu_compatible_with: tuple[str, ...] = ()
    cpu_overhead: float = 0.0
    state: columns.HostState = columns.HostState.ENABLED
    sample_age_seconds: float = 0.0
    silent: bool = False
    memory_used_mib: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance; ``memory_usage_mib`` None means all of its memory."""

    id: str
    host: str
    vcpus: float
    memory_mib: float
    name: str = ''
    disk_gib: float = 0.0
    cpu_usage: float = 0.0
    memory_usage_mib: float | None = None
    dirty_rate_mib_s: float = 0.0
    hot_set_mib: float = 0.0
    cold_rate_mib_s: float = 0.0
    cpu_steal: float = 0.0
    io_mib_s: float = 0.0
    movable: bool = True
    groups: tuple[str, ...] = ()
    required_aggregates: tuple[str, ...] = ()
    wishes: columns.Wishes = ()


@dataclasses.dataclass(frozen=True, slots=True)
class GroupRecord:
    """One server group."""

    name: str
    policy: columns.GroupPolicy
    max_per_host: int = 1


class InstanceLike(Protocol):
    """Whatever has the fields of an :class:`InstanceRecord`.

    A reader of documents has rows of its own; 200,000 of them are not
    copied only to be named otherwise.
    """

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def memory_mib(self) -> float: ...
    @property
    def memory_usage_mib(self) -> float | None: ...
    @property
    def movable(self) -> bool: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def required_aggregates(self) -> tuple[str, ...]: ...
    @property
    def wishes(self) -> columns.Wishes: ...


def build_fleet(
    hosts: collections.abc.Sequence[HostRecord],
    instances: collections.abc.Sequence[InstanceLike],
    groups: collections.abc.Sequence[GroupRecord] = (),
    taken_at: float = 0.0,
) -> columns.Fleet:
    """Make the columns of a fleet from records.

    The records have been checked: names are unique, every host, group and
    aggregate that is named exists or (aggregates) may be held by no host.
    """
    zones = _index(host.zone for host in hosts)
    models = _index(
        model
        for host in hosts
        for model in (host.cpu_model, *host.cpu_compatible_with)
    )
    aggregates = _index(
        name
        for names in (
            *(host.aggregates for host in hosts),
            *(one.required_aggregates for one in instances),
        )
        for name in names
    )
    requirements: dict[tuple[str, ...], int] = {(): 0}
    for one in instances:
        wanted = tuple(sorted(set(one.required_aggregates)))
        requirements.setdefault(wanted, len(requirements))
    wishes = _index(((), *(one.wishes for one in instances)))
    return columns.Fleet(
        hosts=_host_columns(hosts, zones, models, aggregates),
        instances=_instance_columns(hosts, instances, requirements, wishes),
        groups=_group_columns(instances, groups),
        taken_at=taken_at,
        zones=tuple(zones),
        aggregates=tuple(aggregates),
        cpu_models=tuple(models),
        requirements=_membership(requirements, aggregates),
        wishes=tuple(wishes),
    )


def _index(
    names: collections.abc.Iterable[Name],
) -> dict[Name, int]:
    found: dict[Name, int] = {}
    for name in names:
        found.setdefault(name, len(found))
    return found


def _membership(
    rows: collections.abc.Iterable[tuple[str, ...]], index: dict[str, int]
) -> columns.Bools:
    listed = list(rows)
    matrix = np.zeros((len(listed), len(index)), dtype=np.bool_)
    for row, names in enumerate(listed):
        for name in names:
            matrix[row, index[name]] = True
    return matrix


def _host_columns(
    hosts: collections.abc.Sequence[HostRecord],
    zones: dict[str, int],
    models: dict[str, int],
    aggregates: dict[str, int],
) -> columns.Hosts:
    def floats(field: str) -> columns.Floats:
        # None, for what was not measured, becomes a NaN
        return np.array([getattr(host, field) for host in hosts], np.float64)

    def ints(field: str) -> columns.Ints:
        return np.array([getattr(host, field) for host in hosts], np.int32)

    accepts = _membership(
        [(host.cpu_model, *host.cpu_compatible_with) for host in hosts], models
    )
    # An empty model fits everything, on either side.
    for row, host in enumerate(hosts):
        if not host.cpu_model:
            accepts[row, :] = True
    if '' in models:
        accepts[:, models['']] = True
    return columns.Hosts(
        name=tuple(host.name for host in hosts),
        cpus=floats('cpus'),
        memory_mib=floats('memory_mib'),
        memory_reserved_mib=floats('memory_reserved_mib'),
        disk_gib=floats('disk_gib'),
        cpu_allocation_ratio=floats('cpu_allocation_ratio'),
        memory_allocation_ratio=floats('memory_allocation_ratio'),
        disk_allocation_ratio=floats('disk_allocation_ratio'),
        migration_mib_s=floats('migration_mib_s'),
        max_incoming=ints('max_incoming'),
        max_outgoing=ints('max_outgoing'),
        zone=np.array([zones[host.zone] for host in hosts], np.int32),
        aggregates=_membership([h.aggregates for h in hosts], aggregates),
        cpu_model=np.array([models[h.cpu_model] for h in hosts], np.int32),
        cpu_accepts=accepts,
        cpu_overhead=floats('cpu_overhead'),
        state=ints('state'),
        sample_age_seconds=floats('sample_age_seconds'),
        silent=np.array([host.silent for host in hosts], np.bool_),
        memory_used_mib=floats('memory_used_mib'),
        cpu_pressure=floats('cpu_pressure'),
        memory_pressure=floats('memory_pressure'),
        io_pressure=floats('io_pressure'),
        cpu_lasting=np.zeros(len(hosts)),
        cpu_last=np.full(len(hosts), np.nan),
    )


def _instance_columns(
    hosts: collections.abc.Sequence[HostRecord],
    instances: collections.abc.Sequence[InstanceLike],
    requirements: dict[tuple[str, ...], int],
    wishes: dict[columns.Wishes, int],
) -> columns.Instances:
    row_of = {host.name: row for row, host in enumerate(hosts)}

    def floats(field: str) -> columns.Floats:
        return np.array([getattr(one, field) for one in instances], np.float64)

    return columns.Instances(
        id=tuple(one.id for one in instances),
        name=tuple(one.name or one.id for one in instances),
        host=np.array([row_of[one.host] for one in instances], np.int32),
        vcpus=floats('vcpus'),
        memory_mib=floats('memory_mib'),
        disk_gib=floats('disk_gib'),
        cpu_usage=floats('cpu_usage'),
        memory_usage_mib=np.array(
            [
                one.memory_mib
                if one.memory_usage_mib is None
                else one.memory_usage_mib
                for one in instances
            ],
            np.float64,
        ),
        dirty_rate_mib_s=floats('dirty_rate_mib_s'),
        hot_set_mib=floats('hot_set_mib'),
        cold_rate_mib_s=floats('cold_rate_mib_s'),
        cpu_steal=floats('cpu_steal'),
        io_mib_s=floats('io_mib_s'),
        movable=np.array([one.movable for one in instances], np.bool_),
        requirement=np.array(
            [
                requirements[tuple(sorted(set(one.required_aggregates)))]
                for one in instances
            ],
            np.int32,
        ),
        wish=np.array([wishes[one.wishes] for one in instances], np.int32),
    )


def _group_columns(
    instances: collections.abc.Sequence[InstanceLike],
    groups: collections.abc.Sequence[GroupRecord],
) -> columns.Groups:
    row_of = {group.name: row for row, group in enumerate(groups)}
    pairs = sorted(
        (row_of[name], row)
        for row, one in enumerate(instances)
        for name in dict.fromkeys(one.groups)
    )
    return columns.Groups(
        name=tuple(group.name for group in groups),
        policy=np.array([group.policy for group in groups], np.int32),
        max_per_host=np.array([g.max_per_host for g in groups], np.int32),
        member_instance=np.array([one for _, one in pairs], np.int32),
        member_group=np.array([group for group, _ in pairs], np.int32),
    )


def to_records(
    fleet: columns.Fleet,
) -> tuple[list[HostRecord], list[InstanceRecord], list[GroupRecord]]:
    """Take a fleet apart into records; the opposite of :func:`build_fleet`."""
    return (
        _host_records(fleet),
        _instance_records(fleet),
        _group_records(fleet),
    )


def _names(
    names: collections.abc.Sequence[str], chosen: columns.Bools
) -> tuple[str, ...]:
    return tuple(names[row] for row in np.flatnonzero(chosen).tolist())


def _told(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _host_records(fleet: columns.Fleet) -> list[HostRecord]:
    hosts = fleet.hosts
    found = []
    for row, name in enumerate(hosts.name):
        model = fleet.cpu_models[hosts.cpu_model[row]]
        others = _names(fleet.cpu_models, hosts.cpu_accepts[row])
        found.append(
            HostRecord(
                name=name,
                cpus=float(hosts.cpus[row]),
                memory_mib=float(hosts.memory_mib[row]),
                memory_reserved_mib=float(hosts.memory_reserved_mib[row]),
                disk_gib=float(hosts.disk_gib[row]),
                cpu_allocation_ratio=float(hosts.cpu_allocation_ratio[row]),
                memory_allocation_ratio=float(
                    hosts.memory_allocation_ratio[row]
                ),
                disk_allocation_ratio=float(hosts.disk_allocation_ratio[row]),
                migration_mib_s=float(hosts.migration_mib_s[row]),
                max_incoming=int(hosts.max_incoming[row]),
                max_outgoing=int(hosts.max_outgoing[row]),
                zone=fleet.zones[hosts.zone[row]],
                aggregates=_names(fleet.aggregates, hosts.aggregates[row]),
                cpu_model=model,
                cpu_compatible_with=tuple(
                    other for other in others if other not in ('', model)
                )
                if model
                else (),
                cpu_overhead=float(hosts.cpu_overhead[row]),
                state=columns.HostState(int(hosts.state[row])),
                sample_age_seconds=float(hosts.sample_age_seconds[row]),
                silent=bool(hosts.silent[row]),
                memory_used_mib=_told(hosts.memory_used_mib[row]),
                cpu_pressure=_told(hosts.cpu_pressure[row]),
                memory_pressure=_told(hosts.memory_pressure[row]),
                io_pressure=_told(hosts.io_pressure[row]),
            )
        )
    return found


def _instance_records(fleet: columns.Fleet) -> list[InstanceRecord]:
    instances = fleet.instances
    required = [_names(fleet.aggregates, row) for row in fleet.requirements]
    return [
        InstanceRecord(
            id=uid,
            name=instances.name[row],
            host=fleet.hosts.name[instances.host[row]],
            vcpus=float(instances.vcpus[row]),
            memory_mib=float(instances.memory_mib[row]),
            disk_gib=float(instances.disk_gib[row]),
            cpu_usage=float(instances.cpu_usage[row]),
            memory_usage_mib=float(instances.memory_usage_mib[row]),
            dirty_rate_mib_s=float(instances.dirty_rate_mib_s[row]),
            hot_set_mib=float(instances.hot_set_mib[row]),
            cold_rate_mib_s=float(instances.cold_rate_mib_s[row]),
            cpu_steal=float(instances.cpu_steal[row]),
            io_mib_s=float(instances.io_mib_s[row]),
            movable=bool(instances.movable[row]),
            groups=tuple(
                fleet.groups.name[group]
                for group in fleet.groups_of.get(row, ())
            ),
            required_aggregates=required[instances.requirement[row]],
            wishes=fleet.wishes[instances.wish[row]],
        )
        for row, uid in enumerate(instances.id)
    ]


def _group_records(fleet: columns.Fleet) -> list[GroupRecord]:
    groups = fleet.groups
    return [
        GroupRecord(
            name,
            columns.GroupPolicy(int(groups.policy[row])),
            int(groups.max_per_host[row]),
        )
        for row, name in enumerate(groups.name)
    ]
