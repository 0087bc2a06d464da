"""One decision: which policies act now, and what plan they make together.

Keeps where each policy stands between decisions (its hysteresis) and guards
against policies that raise; everything else is the policies' and the
planner's. Pure: time comes in as ``now``, and the clock of a search is handed
in.
"""

import collections.abc
import dataclasses
import logging
import math
from typing import Protocol

from kvm_balancer.filters import base as filter_base
from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import excerpt
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import budget
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import schedule
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.policies import composition
from kvm_balancer.policies import credit
from kvm_balancer.policies import hysteresis
from kvm_balancer.policies import places
from kvm_balancer.policies import promise
from kvm_balancer.policies import scopes

LOG = logging.getLogger(__name__)

#: Part of the interval between decisions that is waited while a host gets
#: hot. No shorter: samples hardly come more often.
_PRESSED = 1.0 / 3.0
#: How long nothing is searched for after a search in vain: twice as long
#: each time, until other policies act.
_REST_SECONDS = 60.0
_MOST_REST_SECONDS = 480.0

#: Seconds since some moment; only differences count.
Stopwatch = collections.abc.Callable[[], float]


class Wanted(Protocol):
    """What is asked for instead of what is configured."""

    def within(self, template: contexts.Context) -> contexts.Context:
        """Return *template* with what is asked for."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """A policy that is on, and how long it waits before it acts."""

    policy: base.Policy
    hold_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one policy thinks of its hosts now.

    :ivar text: one line with figures
    :ivar place: whose hosts they are; empty for all others
    """

    policy: str
    mood: hysteresis.Mood
    text: str
    place: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision has to leave alone.

    :ivar filters: held against every move, besides those that always are
    """

    cooling_instances: columns.Bools
    cooling_hosts: columns.Bools
    in_flight: collections.abc.Sequence[placement.InFlight]
    corrections: correction.Corrections | None = None
    closed_zones: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )
    allowance: budget.Allowance | None = None
    recent_instances: columns.Bools | None = None
    filters: tuple[filter_base.Filter, ...] = ()


class Decider:
    """Decides, again and again, what to do about a fleet.

    :param watches: all policies that run anywhere
    :param template: filters, weighers and limits of every plan
    :param assigned: which of them run where; all of them everywhere, in
        their order, by default
    :param stopwatch: tells how long a search has taken; it stands still by
        default, and a search then ends when it has nothing more to try
    :param schedules: when what may be moved; to tell of zones that no host
        is in
    :ivar credits: how far the policies are believed
    """

    def __init__(
        self,
        watches: collections.abc.Sequence[Watch],
        template: contexts.Context,
        assigned: assignment.Assignment | None = None,
        stopwatch: Stopwatch = float,
        schedules: schedule.Schedules | None = None,
    ) -> None:
        self._stopwatch = stopwatch
        #: a search that found nothing finds nothing a moment later
        self._rest_seconds = 0.0
        self._rested_at = -math.inf
        self._searched: tuple[tuple[str, str], ...] = ()
        self._policies = {one.policy.name: one.policy for one in watches}
        self._hold_seconds = {
            one.policy.name: one.hold_seconds for one in watches
        }
        self._assigned = assigned or assignment.Assignment(
            tuple(self._policies)
        )
        self._template = template
        #: where policies stand, by place and name
        self._moods: dict[tuple[str, str], hysteresis.Hysteresis] = {}
        self.credits = credit.Credits()
        self._acting: promise.Acting = ()
        self._broken: set[str] = set()
        self._places = places.Places(
            {
                'migration': template.migration,
                'policies': self._assigned,
                'windows': schedules or schedule.Schedules(),
                **scopes.of_policies(one.policy for one in watches),
            }
        )
        self.findings: tuple[Finding, ...] = ()
        #: policies that may act in a moment
        self._pressing: set[tuple[str, str]] = set()

    def parts(self, fleet: columns.Fleet) -> tuple[assignment.Part, ...]:
        """Return who looks after which hosts of *fleet*."""
        return self._assigned.parts(fleet, self._policies)

    def decide(
        self, fleet: columns.Fleet, around: Surroundings, now: float
    ) -> plans.Plan | None:
        """Look at *fleet*; return a plan when a policy acts and finds moves.

        :param now: seconds since the epoch
        """
        self._places.look(fleet)
        parts = self.parts(fleet)
        self.credits.look(fleet, parts, now)
        acting = self._look(fleet, parts, now)
        self._acting = [
            (part, policy) for part in acting for policy in part.policies
        ]
        if not acting or self._rests(now):
            return None
        plan = composition.propose_parts(acting, fleet, self.context(around))
        if not plan.moves:
            self._rested_at = now
            self._rest_seconds = min(
                _MOST_REST_SECONDS,
                max(_REST_SECONDS, 2.0 * self._rest_seconds),
            )
            return None
        self._rest_seconds = 0.0
        return plan

    def next_look(self, interval_seconds: float) -> float:
        """Return in how many seconds to look again.

        Sooner than usual where a host gets hot, and it is only waited for
        whether it stays so: what is waited for is the hold time, and not
        the next turn after it.
        """
        return interval_seconds * (_PRESSED if self._pressing else 1.0)

    def _rests(self, now: float) -> bool:
        """Say whether the same was searched for in vain a moment ago."""
        searched = tuple((part.name, one.name) for part, one in self._acting)
        if searched != self._searched or now < self._rested_at:
            self._rest_seconds = 0.0
        self._searched = searched
        return now - self._rested_at < self._rest_seconds

    def promise(
        self, plan: plans.Plan, fleet: columns.Fleet, now: float
    ) -> None:
        """Take down that what was decided last is carried out."""
        waits = [self._hold_seconds[one.name] for _, one in self._acting]
        due = now + max(waits, default=0.0)
        self.credits.promise(plan, fleet, self._acting, due)
        if plan.cut_short:
            return
        for part, policy in self._acting:
            key = part.name, policy.name
            self._moods[key] = hysteresis.answered(self._moods[key], now)

    def context(
        self, around: Surroundings, wanted: Wanted | None = None
    ) -> contexts.Context:
        """Return what holds for a plan that begins now.

        :param wanted: what is asked for instead of what is configured
        """
        began, stopwatch = self._stopwatch(), self._stopwatch
        template = self._template
        if wanted is not None:
            template = wanted.within(template)
        return dataclasses.replace(
            template,
            filters=(*template.filters, *around.filters),
            cooling_instances=around.cooling_instances,
            cooling_hosts=around.cooling_hosts,
            recent_instances=around.recent_instances,
            in_flight=tuple(around.in_flight),
            corrections=around.corrections,
            elapsed=lambda: stopwatch() - began,
        ).restrained(around.closed_zones, around.allowance)

    def _look(
        self,
        fleet: columns.Fleet,
        parts: collections.abc.Iterable[assignment.Part],
        now: float,
    ) -> list[assignment.Part]:
        """Return the parts with those of their policies that act."""
        acting: list[assignment.Part] = []
        findings: list[Finding] = []
        self._pressing.clear()
        for part in parts:
            mine = excerpt.of_hosts(fleet, part.hosts)
            found = [
                (policy, self._finding(part.name, policy, mine, now))
                for policy in part.policies
            ]
            findings += [one for _, one in found if one is not None]
            willing = tuple(
                policy
                for policy, one in found
                if one is not None and one.mood is hysteresis.Mood.ACTING
            )
            if willing:
                acting.append(dataclasses.replace(part, policies=willing))
        self.findings = tuple(findings)
        return self.credits.applied(acting)

    def _finding(
        self, place: str, policy: base.Policy, fleet: columns.Fleet, now: float
    ) -> Finding | None:
        """Ask one policy what it thinks of its hosts; None if it raises."""
        name = policy.name
        try:
            trigger = policy.trigger(fleet)
        except Exception:
            # A plugin of others may raise anything; it costs only itself.
            if name not in self._broken:
                LOG.exception('Policy %s is passed over: it raised', name)
            self._broken.add(name)
            return None
        self._broken.discard(name)
        mood = hysteresis.step(
            self._moods.get((place, name), hysteresis.Hysteresis()),
            trigger,
            now,
            self._hold_seconds[name],
        )
        self._tell(place, name, mood, trigger)
        self._moods[place, name] = mood
        if trigger.pressing and not mood.acting:
            self._pressing.add((place, name))
        said = (trigger.text, self.credits.text(place, name))
        text = '; '.join(one for one in said if one)
        return Finding(name, mood.mood, text, place)

    def _tell(
        self,
        place: str,
        name: str,
        mood: hysteresis.Hysteresis,
        trigger: base.Trigger,
    ) -> None:
        """Log when a policy changes its mind, and not every time it looks."""
        before = self._moods.get((place, name))
        if before is None or before.mood is not mood.mood:
            where = f' for {place}' if place else ''
            LOG.info(
                'Policy %s%s is %s: %s', name, where, mood.mood, trigger.text
            )
