"""Relieve: bring every host under its CPU limit, and do nothing else."""

import dataclasses

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import bounds
from kvm_balancer.planner import reach
from kvm_balancer.planner import reasons
from kvm_balancer.planner import relief
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base

#: CPU load of a host that has no core left
_FULL = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class RelieveParams(base.Params):
    """Options of the policy.

    :ivar limit: CPU load over which a host is relieved
    :ivar margin: how far under the limit it is brought, and destinations
        stay, so that the slightest change does not make them hot again
    """

    limit: float = 0.8
    margin: float = 0.05


class Relieve(base.Policy):
    """Takes the fewest, cheapest instances off hosts over their limit."""

    name = 'relieve'
    params_class = RelieveParams
    params: RelieveParams

    def trigger(self, fleet: columns.Fleet) -> base.Trigger:
        limit = self.params.limit
        load = np.where(fleet.hosts.silent, 0.0, fleet.cpu_load)
        level = float(load.max(initial=0.0))
        hot = int(np.count_nonzero(load > limit))
        text = f'{hot} of {len(load)} hosts are over {limit:.2f} CPU'
        if hot:
            name = fleet.hosts.name[int(load.argmax())]
            text = f'{text}; {name} is the hottest at {level:.2f}'
        near = np.flatnonzero(load > limit - self.params.margin)
        return base.Trigger(
            level,
            start=limit,
            stop=limit,
            text=text,
            near={fleet.hosts.name[row]: float(load[row]) for row in near},
        )

    def search(self, work: workspace.Workspace) -> assembly.Findings:
        limit = self.params.limit
        proven = bounds.moves_to_limit(
            work.state, work.free_instances, limit, work.scope
        )
        aim = limit - self.params.margin
        work.cause = plan.Cause(plan.CauseKind.SOURCE_LOAD, aim)
        over = np.flatnonzero((work.state.cpu_load > limit) & work.scope)
        done = work.moves
        hot = [
            one for one in relief.Relief(work, aim).hot_hosts() if one in over
        ]
        held = reach.fixed(work, aim)
        stuck = self._relieve(work, aim, hot, held)
        load = work.state.cpu_load
        still_hot = tuple(
            plan.StillHot(
                host=work.fleet.hosts.name[host],
                load=float(load[host]),
                reason=self._why(work, host),
            )
            for host in stuck
            if load[host] > limit
        )
        return assembly.Findings(
            summary=self._summary(hot, still_hot, work.moves - done),
            moves_bound=proven,
            still_hot=still_hot,
        )

    def _relieve(
        self,
        work: workspace.Workspace,
        aim: float,
        hot: list[int],
        held: columns.Floats,
    ) -> list[int]:
        """Relieve *hot* hosts; return those that stay over the limit.

        Those that are over it by what no move takes off them come last, and
        only as far as they have no core left: that is all that moves do for
        them. One that is over that, too, is left alone: nothing helps it, or
        its samples are bad.

        :param held: CPU load that stays on each host
        """
        limit = self.params.limit
        within = [host for host in hot if held[host] <= limit]
        among = np.zeros(len(held), np.bool_)
        among[within] = True
        least = bounds.moves_to_limit(
            work.state, work.free_instances, limit, among
        )
        stuck = relief.relieve(work, aim, within, least)
        easing = relief.Relief(work, aim, goal=_FULL)
        for host in hot:
            if limit < held[host] < _FULL:
                easing.relieve(host)
        return [host for host in hot if host in stuck or host not in within]

    def _why(self, work: workspace.Workspace, host: int) -> str:
        units = work.units_on(host)
        leaving = float(work.units.cpu_usage[units].sum())
        cpus = float(work.fleet.hosts.cpus[host])
        stays = (float(work.state.cores[host]) - leaving) / cpus
        if len(units) and stays > self.params.limit:
            return f'what may not leave it keeps it at {stays:.2f} CPU'
        return reasons.stuck(work, host, self.params.limit)

    def _summary(
        self,
        hot: list[int],
        still_hot: tuple[plan.StillHot, ...],
        moves: int,
    ) -> str:
        limit = self.params.limit
        if not hot:
            return f'no host is over {limit:.2f} CPU: nothing to do'
        text = (
            f'{len(hot) - len(still_hot)} of {len(hot)} hosts over '
            f'{limit:.2f} CPU are brought under it in {base.moves(moves)}'
        )
        if not still_hot:
            return text
        names = ', '.join(one.host for one in still_hot[:5])
        more = ', ...' if len(still_hot) > 5 else ''
        stay = 'stays' if len(still_hot) == 1 else 'stay'
        return f'{text}; {names}{more} {stay} hot'
