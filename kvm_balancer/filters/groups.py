"""Hard anti-affinity groups hold at every step of a plan.

Hard affinity groups are moved as a whole by the planner, so there is nothing
to refuse here: their members always come together.
"""

import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement

_ANTI_AFFINITY = int(columns.GroupPolicy.ANTI_AFFINITY)


class GroupsFilter(base.Filter):
    """Lets an instance go where its groups have a place left for it."""

    name = 'groups'
    dynamic = True

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        passed = np.ones((len(instances), len(hosts)), np.bool_)
        groups_of = state.fleet.groups_of
        place: columns.Ints | None = None
        for index, one in enumerate(instances.tolist()):
            for group in groups_of.get(one, ()):
                full = _full_hosts(state, group)
                if full is None:
                    continue
                if place is None:
                    place = np.full(len(state.fleet.hosts), -1, np.int32)
                    place[hosts] = np.arange(len(hosts))
                refused = place[full]
                passed[index, refused[refused >= 0]] = False
        return passed

    def reason(self, state: placement.Placement, instance: int) -> str:
        groups = state.fleet.groups
        names = ', '.join(
            groups.name[group]
            for group in state.fleet.groups_of.get(instance, ())
            if groups.policy[group] == _ANTI_AFFINITY
        )
        return f'already run as many members of group {names} as they may'


def _full_hosts(state: placement.Placement, group: int) -> columns.Ints | None:
    """Return the hosts that may take no more of *group*; None: no rule."""
    groups = state.fleet.groups
    if groups.policy[group] != _ANTI_AFFINITY:
        return None
    hosts = state.hosts_of(groups.members(group))
    most = int(groups.max_per_host[group])
    if most == 1:
        return hosts
    distinct, count = np.unique(hosts, return_counts=True)
    full: columns.Ints = distinct[count >= most]
    return full
