"""What an agent remembers from one decision to the next.

Who was moved a while ago, which migrations failed, who went round, and what
others have moved. It hears of every migration that begins or ends, looks at
every fleet, and says what a decision has to leave alone. What outlives a
restart goes through a document. Pure.
"""

import collections.abc
import math
from typing import Any
from typing import Final

from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import budget
from kvm_balancer.planner import cooldown
from kvm_balancer.planner import last_seen
from kvm_balancer.planner import mishaps as failing
from kvm_balancer.planner import rounds as going_round
from kvm_balancer.planner import strangers as others
from kvm_balancer.policies import decision

#: Moves of others that are told of one by one, most at a time.
_TOLD: Final = 20


class Memory:
    """All that is remembered; one thread at a time.

    :ivar held: instances that went round and are left where they are
    """

    def __init__(
        self,
        cooldowns: cooldown.Cooldowns,
        mishaps: failing.Mishaps | None = None,
        rounds: going_round.Rounds | None = None,
        strangers: others.Strangers | None = None,
    ) -> None:
        self.cooldowns = cooldowns
        self._mishaps = mishaps or failing.Mishaps()
        self._rounds = rounds or going_round.Rounds()
        self._strangers = strangers or others.Strangers()
        #: gaps of load that moves under way were made for
        self._gaps: dict[str, float] = {}
        self._told = ''

    @property
    def held(self) -> collections.abc.Mapping[str, going_round.Held]:
        """Who is left where it is, by instance."""
        return self._rounds.held

    def begun(self, fleet: columns.Fleet, move: plans.Move) -> None:
        """Take down that a move of ours begins."""
        self.ours(move.instance, move.source, move.destination)
        self._gaps.pop(move.instance, None)
        source = fleet.host_row.get(move.source)
        destination = fleet.host_row.get(move.destination)
        if (
            source is None
            or destination is None
            or move.profile is plans.Profile.DRAIN
        ):
            # What has to go is no matter of gains.
            return
        load = fleet.cpu_load
        self._gaps[move.instance] = float(load[source] - load[destination])

    @property
    def seen(self) -> last_seen.LastSeen:
        """Where instances were seen last, kept beside the document."""
        return self._strangers.seen

    def ours(
        self,
        instance: str,
        source: str,
        destination: str,
        at: float = math.inf,
        completed: bool = False,
    ) -> None:
        """Take down that a migration is ours.

        :param at: when it ended; infinite while it is under way
        """
        self._strangers.ours(instance, source, destination, at, completed)

    def ended(
        self,
        instance: str,
        source: str,
        destination: str,
        kind: outcomes.OutcomeKind,
        at: float,
    ) -> str:
        """Take down how a migration ended.

        :returns: what there is to tell of it; empty for nothing
        """
        self.cooldowns.note(instance, source, destination, at)
        gap = self._gaps.pop(instance, None)
        if kind is outcomes.OutcomeKind.FAILED:
            self._mishaps.failed(instance, destination, at)
        completed = kind is outcomes.OutcomeKind.COMPLETED
        # Where one is that nobody knows the end of is its own business.
        ended_at = math.inf if kind is outcomes.OutcomeKind.UNKNOWN else at
        self._strangers.ours(
            instance, source, destination, ended_at, completed
        )
        if not completed:
            return ''
        self._mishaps.completed(instance, destination)
        if gap is None or not self._rounds.moved(
            instance, source, destination, gap, at
        ):
            return ''
        return (
            f'{instance} has come back to {destination}: it is left there '
            'until it is released, or its move would gain much more'
        )

    def other_plan(self, plan_id: str, at: float) -> None:
        """Take down that another agent's migration was told of."""
        self._strangers.other_plan(plan_id, at)

    def other_reader(self, at: float) -> None:
        """Take down that another agent takes samples of the same bus."""
        self._strangers.other_reader(at)

    def moved_by_others(self, now: float) -> int:
        """Count the instances left alone because others moved them."""
        return self._strangers.count(now)

    def look(self, fleet: columns.Fleet, now: float) -> list[str]:
        """Look at *fleet*; return what there is to tell, a line each."""
        self.cooldowns.forget(now)
        self._mishaps.forget(now)
        self._rounds.forget(now)
        self._strangers.forget(now)
        moved = self._strangers.look(fleet, now)
        told = [
            f'{one.instance} was moved from {one.source} to '
            f'{one.destination} by somebody else: it and both hosts are left '
            'alone for a while'
            for one in moved[:_TOLD]
        ]
        if len(moved) > _TOLD:
            # after a restart, it may be what was done for days
            told.append(
                f'so were {len(moved) - _TOLD} other instances, which are '
                'left alone likewise'
            )
        trouble = self.trouble(now)
        if trouble and trouble.split(':')[0] != self._told:
            told.append(trouble)
        self._told = trouble.split(':')[0]
        return told

    def trouble(self, now: float) -> str:
        """Say that another balancer is at work; empty where none is."""
        return self._strangers.text(now)

    def release(self, instance: str) -> bool:
        """Let an instance go again; say whether it was held."""
        return self._rounds.release(instance)

    def surroundings(
        self,
        fleet: columns.Fleet,
        now: float,
        in_flight: collections.abc.Sequence[placement.InFlight] = (),
        corrections: correction.Corrections | None = None,
        closed_zones: collections.abc.Mapping[str, str] | None = None,
        allowance: budget.Allowance | None = None,
    ) -> decision.Surroundings:
        """Return what a decision has to leave alone now."""
        return decision.Surroundings(
            cooling_instances=self.cooldowns.instances(fleet, now)
            | self._strangers.instances(fleet, now)
            | self._rounds.holding(fleet),
            cooling_hosts=self.cooldowns.hosts(fleet, now)
            | self._strangers.hosts(fleet, now),
            recent_instances=self.cooldowns.recent(fleet, now),
            in_flight=in_flight,
            corrections=corrections,
            closed_zones=closed_zones or {},
            allowance=allowance,
            filters=self._mishaps.filter(fleet, now),
        )

    def document(self) -> dict[str, Any]:
        """Return what is to survive a restart, in plain types.

        Cooldowns are learned again from the migrations that are kept.
        """
        return {
            'mishaps': self._mishaps.document(),
            'rounds': self._rounds.document(),
            'gaps': dict(self._gaps),
            'strangers': self._strangers.document(),
        }

    def restore(self, document: collections.abc.Mapping[str, Any]) -> None:
        """Take over what an earlier run has kept.

        :raises TypeError, ValueError: when it is damaged
        """
        self._mishaps.restore(document.get('mishaps', ()))
        self._rounds.restore(document.get('rounds', {}))
        self._gaps.update(
            (str(instance), float(gap))
            for instance, gap in document.get('gaps', {}).items()
        )
        self._strangers.restore(document.get('strangers', {}))
