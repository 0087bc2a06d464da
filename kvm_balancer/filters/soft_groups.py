"""Soft groups: no move leaves one further from what it wishes.

Members of a soft affinity group go where at least as many of them are as on
the host they leave; those of a soft anti-affinity group where at most as
many are. It is a wish: what has to leave its host goes all the same where no
host grants it.
"""

import collections

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

_TOGETHER = int(columns.GroupPolicy.SOFT_AFFINITY)
_APART = int(columns.GroupPolicy.SOFT_ANTI_AFFINITY)
_SOFT = (_TOGETHER, _APART)


class SoftGroupsFilter(base.Filter):
    """Lets an instance go where its soft groups fare no worse."""

    name = 'soft_groups'
    dynamic = True
    local = True
    wish = True

    def idle(self, fleet: columns.Fleet) -> bool:
        return not np.isin(fleet.groups.policy, _SOFT).any()

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        every = np.arange(len(instances), dtype=np.int32)
        return self.passes_together(state, instances, every, hosts)

    def passes_together(
        self,
        state: placement.Placement,
        members: columns.Ints,
        first: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed = np.ones((len(first), len(hosts)), np.bool_)
        for unit, group, size in _memberships(state, members, first):
            home = int(state.host[members[first[unit]]])
            there, others = _fares(state, group, home, size, hosts)
            passed[unit] &= (
                there >= others
                if state.fleet.groups.policy[group] == _TOGETHER
                else there <= others
            )
        return passed

    def nearest(
        self,
        state: placement.Placement,
        members: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        near = np.ones(len(hosts), np.bool_)
        begin = np.zeros(1, np.int32)
        for _, group, size in _memberships(state, members, begin):
            home = int(state.host[members[0]])
            there, _ = _fares(state, group, home, size, hosts)
            together = state.fleet.groups.policy[group] == _TOGETHER
            best = there[near].max() if together else there[near].min()
            near &= there == best
        return near

    def reason(self, state: placement.Placement, instance: int) -> str:
        groups = state.fleet.groups
        names = ', '.join(
            groups.name[group]
            for group in state.fleet.groups_of.get(instance, ())
            if groups.policy[group] in _SOFT
        )
        return f'would leave soft group {names} further from its wish'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        return 'leave soft_groups out of [planner] filters'


def _memberships(
    state: placement.Placement, members: columns.Ints, first: columns.Ints
) -> list[tuple[int, int, int]]:
    """Return the soft groups of sets of instances.

    :returns: set, group, and how many of the set are in the group
    """
    fleet = state.fleet
    grouped = np.flatnonzero(fleet.grouped[members])
    found = collections.Counter(
        (unit, group)
        for unit, one in zip(
            (np.searchsorted(first, grouped, side='right') - 1).tolist(),
            members[grouped].tolist(),
            strict=True,
        )
        for group in fleet.groups_of[one]
        if fleet.groups.policy[group] in _SOFT
    )
    return [(unit, group, size) for (unit, group), size in found.items()]


def _fares(
    state: placement.Placement,
    group: int,
    home: int,
    size: int,
    hosts: columns.Ints,
) -> tuple[columns.Ints, int]:
    """Count whom *size* members of *group* would have with them.

    Members that were at *home* and have gone together are still theirs: who
    comes last follows the others.

    :returns: on each of *hosts*; and whom they have by now
    """
    groups = state.fleet.groups
    members = groups.members(group)
    count = len(state.fleet.hosts)
    together = groups.policy[group] == _TOGETHER
    # Who is just leaving a host is no company there, but still one too many.
    where = state.host[members] if together else state.hosts_of(members)
    on = np.bincount(where, minlength=count).astype(np.int32)
    others = int(on[home]) - size
    if together:
        began = members[state.fleet.instances.host[members] == home]
        gone = np.bincount(state.host[began], minlength=count)
        gone[home] = 0
        others = max(others, int(gone.max(initial=0)))
    return on[hosts], others
