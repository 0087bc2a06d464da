"""One decision: which policies act now, and what plan they make together.

Keeps where each policy stands between decisions (its hysteresis) and guards
against policies that raise; everything else is the policies' and the
planner's.
"""

import collections.abc
import dataclasses
import logging
import time

from kvm_balancer.migration.foresight import correction
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import budget
from kvm_balancer.planner import context as contexts
from kvm_balancer.policies import base
from kvm_balancer.policies import composition
from kvm_balancer.policies import hysteresis
from kvm_balancer.service import places

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """A policy that is on, and how long it waits before it acts."""

    policy: base.Policy
    hold_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one policy thinks of the fleet now.

    :ivar text: one line with figures
    """

    policy: str
    mood: hysteresis.Mood
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision has to leave alone."""

    cooling_instances: columns.Bools
    cooling_hosts: columns.Bools
    in_flight: collections.abc.Sequence[placement.InFlight]
    corrections: correction.Corrections | None = None
    closed_zones: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )
    allowance: budget.Allowance | None = None


class Decider:
    """Decides, again and again, what to do about a fleet.

    :param watches: in order of precedence
    :param template: filters, weighers and limits of every plan
    """

    def __init__(
        self,
        watches: collections.abc.Sequence[Watch],
        template: contexts.Context,
    ) -> None:
        self._watches = tuple(watches)
        self._template = template
        self._moods: dict[str, hysteresis.Hysteresis] = {}
        self._broken: set[str] = set()
        self._places = places.Places(template.migration)
        self.findings: tuple[Finding, ...] = ()

    @property
    def policies(self) -> tuple[base.Policy, ...]:
        """The policies that are on, in order of precedence."""
        return tuple(watch.policy for watch in self._watches)

    @property
    def limits(self) -> contexts.Limits:
        """How much a plan may ask for."""
        return self._template.limits

    def decide(
        self, fleet: columns.Fleet, around: Surroundings, now: float
    ) -> plans.Plan | None:
        """Look at *fleet*; return a plan when a policy acts and finds moves.

        :param now: seconds since the epoch
        """
        self._places.look(fleet)
        acting = self._look(fleet, now)
        if not acting:
            return None
        plan = self.propose(acting, fleet, around)
        return plan if plan.moves else None

    def propose(
        self,
        policies: collections.abc.Sequence[base.Policy],
        fleet: columns.Fleet,
        around: Surroundings,
        limits: contexts.Limits | None = None,
    ) -> plans.Plan:
        """Let *policies* make one plan, whatever their triggers say."""
        return composition.propose(
            policies, fleet, self.context(around, limits)
        )

    def context(
        self, around: Surroundings, limits: contexts.Limits | None = None
    ) -> contexts.Context:
        """Return what holds for a plan that begins now."""
        began = time.monotonic()
        return dataclasses.replace(
            self._template,
            cooling_instances=around.cooling_instances,
            cooling_hosts=around.cooling_hosts,
            in_flight=tuple(around.in_flight),
            corrections=around.corrections,
            limits=limits or self._template.limits,
            elapsed=lambda: time.monotonic() - began,
        ).restrained(around.closed_zones, around.allowance)

    def _look(
        self, fleet: columns.Fleet, now: float
    ) -> collections.abc.Sequence[base.Policy]:
        acting: list[base.Policy] = []
        findings: list[Finding] = []
        for watch in self._watches:
            name = watch.policy.name
            try:
                trigger = watch.policy.trigger(fleet)
            except Exception:
                # A plugin of others may raise anything; it costs only itself.
                if name not in self._broken:
                    LOG.exception('Policy %s is passed over: it raised', name)
                self._broken.add(name)
                continue
            self._broken.discard(name)
            mood = hysteresis.step(
                self._moods.get(name, hysteresis.Hysteresis()),
                trigger,
                now,
                watch.hold_seconds,
            )
            self._tell(name, mood, trigger)
            self._moods[name] = mood
            findings.append(Finding(name, mood.mood, trigger.text))
            if mood.acting:
                acting.append(watch.policy)
        self.findings = tuple(findings)
        return acting

    def _tell(
        self,
        name: str,
        mood: hysteresis.Hysteresis,
        trigger: base.Trigger,
    ) -> None:
        """Log when a policy changes its mind, and not every time it looks."""
        before = self._moods.get(name)
        if before is None or before.mood is not mood.mood:
            LOG.info('Policy %s is %s: %s', name, mood.mood, trigger.text)
