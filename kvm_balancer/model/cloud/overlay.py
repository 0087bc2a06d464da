"""A fleet as its hosts report it, under the rules of the cloud.

Samples tell what is used and where; Nova tells what may be moved, whereto,
and which hosts take any more. Of servers that Nova does not know, or has on
another host than the one that reports them, nothing is moved.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import rules

_POLICIES = {
    'affinity': columns.GroupPolicy.AFFINITY,
    'anti-affinity': columns.GroupPolicy.ANTI_AFFINITY,
    'soft-affinity': columns.GroupPolicy.SOFT_AFFINITY,
    'soft-anti-affinity': columns.GroupPolicy.SOFT_ANTI_AFFINITY,
}


def apply(
    fleet: columns.Fleet,
    known: rules.Rules,
    owned: columns.Bools,
) -> columns.Fleet:
    """Return *fleet* under what Nova knows.

    :param owned: instances that are Nova's by what their hosts say, shape
        ``(instances,)``
    """
    terms = [known.terms(uid) for uid in fleet.instances.id]
    names, aggregates, requirements, requirement = _labels(fleet, known, terms)
    wishes, wish = _wishes(fleet, terms)
    zones, zone = _zones(fleet, known)
    return dataclasses.replace(
        fleet,
        hosts=dataclasses.replace(
            _hosts(fleet, known), aggregates=aggregates, zone=zone
        ),
        instances=dataclasses.replace(
            fleet.instances,
            movable=_movable(fleet, known, owned, terms),
            requirement=requirement,
            wish=wish,
        ),
        groups=_groups(fleet, known),
        aggregates=names,
        requirements=requirements,
        wishes=wishes,
        zones=zones,
    )


def drained(
    fleet: columns.Fleet, hosts: collections.abc.Set[str]
) -> columns.Fleet:
    """Return *fleet* with *hosts* to be emptied, whatever they say."""
    rows = [fleet.host_row[name] for name in hosts if name in fleet.host_row]
    if not rows:
        return fleet
    state = fleet.hosts.state.copy()
    state[rows] = columns.HostState.DRAINING
    return dataclasses.replace(
        fleet, hosts=dataclasses.replace(fleet.hosts, state=state)
    )


_Terms = list[rules.Terms | None]


def _movable(
    fleet: columns.Fleet,
    known: rules.Rules,
    owned: columns.Bools,
    terms: _Terms,
) -> columns.Bools:
    names = fleet.hosts.name
    servers = known.cloud.servers
    movable = fleet.instances.movable.copy()
    for row, (uid, found) in enumerate(
        zip(fleet.instances.id, terms, strict=True)
    ):
        if found is None:
            movable[row] &= not owned[row]
        elif (
            found.hindrance
            or servers[uid].host != names[fleet.instances.host[row]]
        ):
            movable[row] = False
    return movable


def _hosts(fleet: columns.Fleet, known: rules.Rules) -> columns.Hosts:
    hosts = fleet.hosts
    state = hosts.state.copy()
    changed = {
        name: getattr(hosts, name).copy()
        for name in (
            'cpu_allocation_ratio',
            'memory_allocation_ratio',
            'memory_reserved_mib',
            'disk_allocation_ratio',
        )
    }
    for row, name in enumerate(hosts.name):
        compute = known.cloud.computes.get(name)
        if compute is None:
            continue
        closed = not compute.enabled or not compute.up or compute.forced_down
        if closed and state[row] == columns.HostState.ENABLED:
            state[row] = columns.HostState.DISABLED
        cpus = compute.inventories.get(demand.VCPU)
        memory = compute.inventories.get(demand.MEMORY_MB)
        disk = compute.inventories.get(demand.DISK_GB)
        if cpus is not None:
            changed['cpu_allocation_ratio'][row] = cpus.allocation_ratio
        if disk is not None:
            changed['disk_allocation_ratio'][row] = disk.allocation_ratio
        if memory is not None and memory.reserved < hosts.memory_mib[row]:
            changed['memory_allocation_ratio'][row] = memory.allocation_ratio
            changed['memory_reserved_mib'][row] = memory.reserved
    return dataclasses.replace(hosts, state=state, **changed)


def _zones(
    fleet: columns.Fleet, known: rules.Rules
) -> tuple[tuple[str, ...], columns.Ints]:
    zones = {name: number for number, name in enumerate(fleet.zones)}
    zone = fleet.hosts.zone.copy()
    for row, name in enumerate(fleet.hosts.name):
        compute = known.cloud.computes.get(name)
        if compute is not None and compute.zone:
            zone[row] = zones.setdefault(compute.zone, len(zones))
    return tuple(zones), zone


def _labels(
    fleet: columns.Fleet, known: rules.Rules, terms: _Terms
) -> tuple[tuple[str, ...], columns.Bools, columns.Bools, columns.Ints]:
    """Return names, who carries them, and what is required of them."""
    carriers = dict(known.carriers)
    for one in known.cloud.aggregates:
        carriers[one.name] = one.hosts
    own = {name: column for column, name in enumerate(fleet.aggregates)}
    names = (*fleet.aggregates, *(n for n in carriers if n not in own))
    column = {name: number for number, name in enumerate(names)}
    aggregates = np.zeros((len(fleet.hosts), len(names)), np.bool_)
    aggregates[:, : len(own)] = fleet.hosts.aggregates
    for name, hosts in carriers.items():
        rows = [fleet.host_row[one] for one in hosts if one in fleet.host_row]
        aggregates[rows, column[name]] = True
    distinct: dict[tuple[int, frozenset[str]], int] = {(0, frozenset()): 0}
    numbers = [
        distinct.setdefault(
            (before, found.labels if found else frozenset()), len(distinct)
        )
        for before, found in zip(
            fleet.instances.requirement.tolist(), terms, strict=True
        )
    ]
    required = np.zeros((len(distinct), len(names)), np.bool_)
    for (before, labels), number in distinct.items():
        required[number, : len(own)] = fleet.requirements[before]
        required[number, [column[name] for name in labels]] = True
    return names, aggregates, required, np.array(numbers, np.int32)


def _wishes(
    fleet: columns.Fleet, terms: _Terms
) -> tuple[tuple[columns.Wishes, ...], columns.Ints]:
    """Lay what Nova's metadata asks for over what the domain asks for."""
    distinct: dict[columns.Wishes, int] = {
        wish: number for number, wish in enumerate(fleet.wishes)
    }
    numbers = fleet.instances.wish.copy()
    for row, found in enumerate(terms):
        if found is not None and found.asks:
            before = fleet.wishes[int(numbers[row])]
            merged = tuple(
                sorted({**dict(before), **dict(found.asks)}.items())
            )
            numbers[row] = distinct.setdefault(merged, len(distinct))
    return tuple(distinct), numbers


def _groups(fleet: columns.Fleet, known: rules.Rules) -> columns.Groups:
    names: list[str] = []
    policies: list[int] = []
    most: list[int] = []
    members: list[int] = []
    group_of: list[int] = []
    for one in known.cloud.groups:
        policy = _POLICIES.get(one.policy)
        rows = [
            fleet.instance_row[uid]
            for uid in one.members
            if uid in fleet.instance_row
        ]
        if policy is None or not rows:
            continue
        members.extend(rows)
        group_of.extend([len(names)] * len(rows))
        names.append(one.name)
        policies.append(int(policy))
        most.append(one.max_per_host)
    return columns.Groups(
        name=tuple(names),
        policy=np.array(policies, np.int32),
        max_per_host=np.array(most, np.int32),
        member_instance=np.array(members, np.int32),
        member_group=np.array(group_of, np.int32),
    )
