"""Repair: hard rules hold again, and nothing else is touched.

A rule is broken where an anti-affinity group has more members on a host than
it may, where the members of an affinity group are on several hosts, and
where an instance is on a host without an aggregate that it requires.
"""

import collections.abc

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import mending
from kvm_balancer.planner import rules
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base


class Repair(base.Policy):
    """Moves as few instances as possible until all hard rules hold."""

    name = 'repair'
    #: no other instance mends the rule that this one is to mend
    profile = plan.Profile.DRAIN
    cause = plan.Cause(plan.CauseKind.RULE)
    mandatory = True

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        broken = rules.broken(fleet, fleet.instances.host)
        count = len(broken)
        text = f'{count} hard rules are broken'
        if broken:
            text = f'{text}; {broken[0].text(fleet)}'
        return base.Trigger(float(count), start=0.0, stop=0.0, text=text)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        fleet = work.fleet
        found = self._broken(work)
        if not found:
            return assembly.Findings('all hard rules hold: nothing to do')
        moves = work.moves
        mend = mending.Mending(work)
        for one in found:
            mend.mend(one)
        left = self._broken(work)
        done = len(found) - len(left)
        return assembly.Findings(
            summary=(
                f'{done} of {len(found)} broken rules hold again after '
                f'{base.moves(work.moves - moves)}'
            ),
            unplaced=tuple(self._unplaced(fleet, left, mend.reasons)),
        )

    def _broken(self, work: workspace.Workspace) -> list[rules.Broken]:
        """Return what is broken on hosts that are looked after."""
        return [
            one
            for one in rules.broken(work.fleet, work.state.host)
            if work.scope[work.state.host[list(one.instances)]].any()
        ]

    def _unplaced(
        self,
        fleet: columns.Fleet,
        left: collections.abc.Iterable[rules.Broken],
        why: collections.abc.Mapping[int, str],
    ) -> collections.abc.Iterator[plan.Unplaced]:
        """Name every instance that a rule still wants elsewhere, once."""
        named: set[int] = set()
        for one in left:
            for instance in one.instances:
                if instance in named:
                    continue
                named.add(instance)
                reason = why.get(instance, 'it may not be moved')
                yield plan.Unplaced(
                    fleet.instances.id[instance],
                    f'{one.text(fleet)}: {reason}',
                )
