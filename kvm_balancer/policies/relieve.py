"""Relieve: bring every host under its limits, and do nothing else.

Limits of CPU, of memory in use and allocated, of steal and of pressure: what
each of them reads, and how moves change it, is in
:mod:`kvm_balancer.planner.gauges`. They are relieved one after the other, CPU
first, and what relieves one keeps to all of them where it arrives.
"""

import collections.abc
import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import bounds
from kvm_balancer.planner import gauges
from kvm_balancer.planner import goals
from kvm_balancer.planner import purposes
from kvm_balancer.planner import reach
from kvm_balancer.planner import reasons
from kvm_balancer.planner import relief
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base
from kvm_balancer.policies import relieve_limits

#: reading of a host that has no core left, or no memory
_FULL = 1.0

_Reading = plan.Reading


@dataclasses.dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of the hosts over one limit.

    :ivar hot: which there were
    """

    goal: goals.Goal
    hot: list[int]
    still_hot: tuple[plan.StillHot, ...]


class Relieve(base.Policy):
    """Takes the fewest, cheapest instances off hosts over a limit."""

    name = 'relieve'
    params_class = relieve_limits.RelieveParams
    params: relieve_limits.RelieveParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        """Say how hot the hottest host is, as if all limits were of CPU."""
        start, margin = self.params.limit, self.params.margin
        cpu = np.full(len(fleet.hosts), start)
        levels = np.zeros(len(fleet.hosts))
        parts: list[str] = []
        for limit in self.params.limits(fleet):
            load = gauges.Gauge(fleet, limit.reading).read
            load = np.where(fleet.hosts.silent | np.isnan(load), 0.0, load)
            calm = _calm(fleet, limit)
            load = np.where(calm, np.minimum(load, limit.most), load)
            if limit.reading is _Reading.CPU:
                cpu = limit.most
            level = np.where(
                limit.most == start, load, start * load / limit.most
            )
            hot = load > limit.most
            level = np.where(hot, level, np.minimum(level, start))
            levels = np.maximum(levels, level)
            if hot.any() or limit.reading is _Reading.CPU:
                parts.append(_hottest(fleet, limit, load, hot))
        near = np.flatnonzero(levels > start - margin)
        hosts = fleet.hosts
        # of other readings the average alone is known
        lasting = np.flatnonzero(
            ~hosts.silent
            & (np.minimum(hosts.cpu_lasting, fleet.cpu_load) > cpu)
        )
        return base.Trigger(
            float(levels.max(initial=0.0)),
            start=start,
            stop=start,
            text='; '.join(parts),
            near={hosts.name[row]: float(levels[row]) for row in near},
            lasting={
                hosts.name[row]: fleet.lasting_seconds for row in lasting
            },
            pressing=bool((hosts.cpu_last > cpu)[near].any()),
        )

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose:
        limits = self.params.limits(setting.work.fleet)
        return purposes.Excess(setting, limits)

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        limits = self.params.limits(work.fleet)
        every = [goals.Goal(work, limit) for limit in limits]
        proven = self._proven(work, every)
        done = work.moves
        found = [
            self._under(work, goal, goals.Ceilings(work, limits))
            for goal in every
            if goal.gauge.known
        ]
        found = [
            one
            for one in found
            if one.hot or one.goal.limit.reading is _Reading.CPU
        ]
        return assembly.Findings(
            summary=self._summary(work, every[0], found, work.moves - done),
            moves_bound=proven,
            still_hot=tuple(hot for one in found for hot in one.still_hot),
        )

    def _proven(
        self,
        work: workspace.Workspace,
        every: collections.abc.Iterable[goals.Goal],
    ) -> int | None:
        """Return the moves that it takes at least; None where unknown.

        One move may help a host with several readings: of those that add up
        the one that takes most moves counts.
        """
        most = np.zeros(len(work.fleet.hosts), np.int32)
        for goal in every:
            if not (goal.gauge.adds_up and goal.gauge.known):
                continue
            over = _over(work, goal)
            if goal.limit.reading is not _Reading.CPU and not over.any():
                continue
            limit = goal.limit.most
            excess = np.where(over, goal.excess(limit), 0.0)
            excess = np.where(excess > 1e-6 * goal.gauge.size, excess, 0.0)
            least = bounds.moves_off(
                work.state, work.free_instances, goal.gauge.usage, excess
            )
            if least is None:
                return None
            most = np.maximum(most, least)
        return int(most.sum())

    def _under(
        self,
        work: workspace.Workspace,
        goal: goals.Goal,
        ceilings: goals.Ceilings,
    ) -> _Outcome:
        """Bring hosts under one limit."""
        limit = goal.limit
        over = _over(work, goal)
        hot = [
            one
            for one in relief.Relief(work, goal, ceilings).hot_hosts()
            if over[one]
        ]
        if not hot:
            return _Outcome(goal, [], ())
        stuck = self._relieve(work, goal, ceilings, hot)
        load, held = goal.load(), goal.held()
        return _Outcome(
            goal,
            hot,
            tuple(
                plan.StillHot(
                    host=work.fleet.hosts.name[host],
                    load=float(load[host]),
                    reason=self._why(work, host, goal, float(held[host])),
                    reading=limit.reading,
                )
                for host in stuck
                if load[host] > limit.most[host]
            ),
        )

    def _relieve(
        self,
        work: workspace.Workspace,
        goal: goals.Goal,
        ceilings: goals.Ceilings,
        hot: list[int],
    ) -> list[int]:
        """Relieve *hot* hosts; return those that stay over the limit.

        Those that are over it by what no move takes off them come last, and
        only as far as they have nothing left: that is all that moves do for
        them. One that is over that, too, is left alone: nothing helps it, or
        its samples are bad.
        """
        limit = goal.limit.most
        held = goal.held()
        if goal.limit.reading is _Reading.CPU:
            held = reach.fixed(work, goal.limit.aim)
        within = [host for host in hot if held[host] <= limit[host]]
        excess = np.zeros(len(held))
        excess[within] = goal.excess(limit)[within]
        least = bounds.moves_off(
            work.state, work.free_instances, goal.gauge.usage, excess
        )
        stuck = relief.relieve(
            work,
            goal,
            ceilings,
            within,
            None if least is None else int(least.sum()),
        )
        easing = relief.Relief(work, goal, ceilings, aim=_FULL)
        for host in hot:
            if goal.gauge.adds_up and limit[host] < held[host] < _FULL:
                easing.relieve(host)
        return [host for host in hot if host in stuck or host not in within]

    def _why(
        self,
        work: workspace.Workspace,
        host: int,
        goal: goals.Goal,
        stays: float,
    ) -> str:
        """Say why a host stays hot.

        :param stays: of its load, what may not leave it
        """
        if len(work.units_on(host)) and stays > goal.limit.most[host]:
            return f'what may not leave it keeps it at {stays:.2f} {goal.name}'
        return reasons.stuck(work, host, goal)

    def _summary(
        self,
        work: workspace.Workspace,
        cpu: goals.Goal,
        found: collections.abc.Sequence[_Outcome],
        moves: int,
    ) -> str:
        hot = [one for one in found if one.hot]
        if not hot:
            limit = cpu.limit.text(work.scope)
            return f'no host is over {limit}: nothing to do'
        parts = [
            f'{len(one.hot) - len(one.still_hot)} of {len(one.hot)} hosts '
            f'over {one.goal.limit.text(np.array(one.hot))}'
            for one in hot
        ]
        text = (
            f'{", ".join(parts)} are brought under it in {base.moves(moves)}'
        )
        names = list(
            dict.fromkeys(one.host for each in hot for one in each.still_hot)
        )
        if not names:
            return text
        more = ', ...' if len(names) > 5 else ''
        stay = 'stays' if len(names) == 1 else 'stay'
        return f'{text}; {", ".join(names[:5])}{more} {stay} hot'


def _calm(fleet: columns.Fleet, limit: gauges.Limit) -> columns.Bools:
    """Say which hosts are under a limit by what was read of them last.

    An average remembers a burst for a while after it; such a host waits for
    what is read next, and needs no relief now. Of other readings than CPU
    there is no average, and of a host that was not read nothing is known.
    """
    if limit.reading is not _Reading.CPU:
        return np.zeros(len(fleet.hosts), np.bool_)
    found: columns.Bools = fleet.hosts.cpu_last <= limit.most
    return found


def _over(work: workspace.Workspace, goal: goals.Goal) -> columns.Bools:
    """Say which hosts are to be relieved of one reading."""
    return goal.over() & work.scope & ~_calm(work.fleet, goal.limit)


def _hottest(
    fleet: columns.Fleet,
    limit: gauges.Limit,
    load: columns.Floats,
    hot: columns.Bools,
) -> str:
    """Say how many hosts are over a limit, and which is most."""
    every = np.ones(len(load), np.bool_)
    text = (
        f'{np.count_nonzero(hot)} of {len(load)} hosts are over '
        f'{limit.text(every)}'
    )
    if not hot.any():
        return text
    worst = int(np.where(hot, load / limit.most, -np.inf).argmax())
    return (
        f'{text}; {fleet.hosts.name[worst]} is the hottest at '
        f'{load[worst]:.2f}'
    )
