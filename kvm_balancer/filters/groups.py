"""Hard anti-affinity groups hold at every step of a plan.

Hard affinity groups are moved as a whole by the planner, so there is nothing
to refuse here: their members always come together.
"""

import collections

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

_ANTI_AFFINITY = int(columns.GroupPolicy.ANTI_AFFINITY)
_NOBODY = np.zeros(0, np.int32)


class GroupsFilter(base.Filter):
    """Lets an instance go where its groups have a place left for it."""

    name = 'groups'
    dynamic = True
    local = True

    def idle(self, fleet: columns.Fleet) -> bool:
        return not (fleet.groups.policy == _ANTI_AFFINITY).any()

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        rows, groups = _memberships(state.fleet, instances)
        return _with_room(state, rows, groups, len(instances), hosts)

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        rows, groups = _memberships(state.fleet, members)
        sets = np.searchsorted(first, rows, side='right').astype(np.int32)
        return _with_room(state, sets - 1, groups, len(first), hosts)

    def reason(self, state: placement.Placement, instance: int) -> str:
        groups = state.fleet.groups
        names = ', '.join(
            groups.name[group]
            for group in state.fleet.groups_of.get(instance, ())
            if groups.policy[group] == _ANTI_AFFINITY
        )
        return f'already run as many members of group {names} as they may'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        fleet = state.fleet
        groups = fleet.groups
        for group in fleet.groups_of.get(instance, ()):
            if groups.policy[group] != _ANTI_AFFINITY:
                continue
            here = np.isin(hosts, _full_hosts(state, group))
            if here.any():
                host = int(hosts[int(np.argmax(here))])
                name = fleet.hosts.name[host]
                return f'move a member of {groups.name[group]} off {name}'
        return ''


def _memberships(
    fleet: columns.Fleet, instances: columns.Ints
) -> tuple[columns.Ints, columns.Ints]:
    """Return the anti-affinity groups of *instances*: indexes, and groups."""
    groups_of, policy = fleet.groups_of, fleet.groups.policy
    grouped = np.flatnonzero(fleet.grouped[instances])
    if not len(grouped):
        return _NOBODY, _NOBODY
    pairs = [
        (index, group)
        for index, one in zip(
            grouped.tolist(), instances[grouped].tolist(), strict=True
        )
        for group in groups_of[one]
        if policy[group] == _ANTI_AFFINITY
    ]
    found = np.array(pairs, np.int32).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _with_room(
    state: placement.Placement,
    sets: columns.Ints,
    groups: columns.Ints,
    count: int,
    hosts: columns.Ints,
) -> columns.Bools:
    """Say which sets of instances have a place left on which of *hosts*.

    :param sets: of each membership, the set that has it
    :param groups: and the group
    :param count: of sets
    """
    if not len(sets):
        return base.ALL
    passed = np.ones((count, len(hosts)), np.bool_)
    place = _places(state.fleet, hosts)
    for group in set(groups.tolist()):
        sizes = collections.Counter(sets[groups == group].tolist())
        for coming in set(sizes.values()):
            those = [one for one, size in sizes.items() if size == coming]
            rows = np.array(those, np.int32)
            _shut(passed, state, group, rows, place, coming)
    return passed


def _places(fleet: columns.Fleet, hosts: columns.Ints) -> columns.Ints:
    """Return the place of each host among *hosts*; -1 for none."""
    place = np.full(len(fleet.hosts), -1, np.int32)
    place[hosts] = np.arange(len(hosts))
    return place


def _shut(
    passed: columns.Bools,
    state: placement.Placement,
    group: int,
    rows: columns.Ints,
    place: columns.Ints,
    coming: int,
) -> None:
    """Refuse to *rows* the hosts that may not take *coming* more of a group.

    :param passed: the answer so far, shape ``(n, hosts that are asked for)``
    :param place: of every host among those; -1 for none
    """
    if coming > int(state.fleet.groups.max_per_host[group]):
        passed[rows] = False
        return
    full = place[_full_hosts(state, group, coming)]
    full = full[full >= 0]
    if len(full):
        passed[rows[:, None], full[None, :]] = False


def _full_hosts(
    state: placement.Placement, group: int, coming: int = 1
) -> columns.Ints:
    """Return the hosts with members that may not take *coming* more."""
    groups = state.fleet.groups
    hosts = state.hosts_of(groups.members(group))
    most = int(groups.max_per_host[group])
    if most == coming:
        return hosts
    distinct, count = np.unique(hosts, return_counts=True)
    full: columns.Ints = distinct[count + coming > most]
    return full
