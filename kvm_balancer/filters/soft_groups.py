"""Soft groups: no move leaves one further from what it wishes.

Members of a soft affinity group go where at least as many of them are as on
the host they leave; those of a soft anti-affinity group where at most as
many are. It is a wish: what has to leave its host goes all the same where no
host grants it.
"""

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

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        fleet = state.fleet
        if not np.isin(fleet.groups.policy, _SOFT).any():
            return base.ALL
        passed = np.ones((len(instances), len(hosts)), np.bool_)
        grouped = np.flatnonzero(fleet.grouped[instances])
        for row in grouped.tolist():
            instance = int(instances[row])
            for group in fleet.groups_of[instance]:
                if fleet.groups.policy[group] in _SOFT:
                    passed[row] &= _fares(state, instance, group, hosts)
        return passed

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


def _fares(
    state: placement.Placement,
    instance: int,
    group: int,
    hosts: columns.Ints,
) -> columns.Bools:
    """Say where *group* fares no worse with *instance* than now."""
    groups = state.fleet.groups
    on = np.bincount(
        state.hosts_of(groups.members(group)),
        minlength=len(state.fleet.hosts),
    )
    others = int(on[state.host[instance]]) - 1
    fares: columns.Bools = (
        on[hosts] >= others
        if groups.policy[group] == _TOGETHER
        else on[hosts] <= others
    )
    return fares
