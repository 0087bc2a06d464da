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
from kvm_balancer.planner import purposes
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

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        return purposes.Rules(setting)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        fleet = work.fleet
        found = self._broken(work)
        if not found:
            return assembly.Findings('all hard rules hold: nothing to do')
        moves = work.moves
        why = self._mend(work, found)
        left = self._broken(work)
        done = len(found) - len(left)
        return assembly.Findings(
            summary=(
                f'{done} of {len(found)} broken rules hold again after '
                f'{base.moves(work.moves - moves)}'
            ),
            unplaced=tuple(self._unplaced(fleet, left, why)),
        )

    def _mend(
        self, work: workspace.Workspace, found: list[rules.Broken]
    ) -> collections.abc.Mapping[int, str]:
        """Mend what is broken; return why instances were not moved.

        What is mended first may take the room of what comes later. So where
        something is left, all is done once more the other way round, and the
        better of the two is kept.
        """
        first, moves = len(work.steps), work.moves
        tried: list[tuple[tuple[int, int], int]] = []
        attempts = (found, found[::-1])
        for number, order in enumerate(attempts):
            work.rewind(first)
            why = self._in_order(work, order)
            wrong = sum(one.wrong for one in self._broken(work))
            tried.append(((wrong, work.moves - moves), number))
            if not wrong:
                return why
        best = min(tried)[1]
        if best != tried[-1][1]:
            work.rewind(first)
            why = self._in_order(work, attempts[best])
        return why

    def _in_order(
        self, work: workspace.Workspace, broken: list[rules.Broken]
    ) -> collections.abc.Mapping[int, str]:
        mend = mending.Mending(work, broken)
        for one in broken:
            mend.mend(one)
        return mend.reasons

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
