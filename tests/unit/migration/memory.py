"""A guest's memory and a hypervisor that copies it, in virtual time."""

import dataclasses
import math

import hypothesis

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract

#: A copy that has made so many is not waited for.
MOST_PASSES = 20000


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest that writes *dirty_mib_s* over *working_mib* of its memory."""

    memory_mib: float
    bandwidth_mib_s: float
    dirty_mib_s: float
    working_mib: float
    #: writes fall at random, so that some hit the same page twice
    random: bool = False

    def dirtied_mib(self, seconds: float, throttle_percent: int) -> float:
        written = self.dirty_mib_s * seconds * (1 - throttle_percent / 100)
        if self.random:
            return self.working_mib * -math.expm1(-written / self.working_mib)
        return min(written, self.working_mib)


@dataclasses.dataclass
class Run:
    """How a copy went: ``switched``, ``post-copy`` or ``given up``."""

    end: str
    seconds: float
    passes: int
    pause_ms: float
    limit_ms: int
    throttle_percent: int
    reason: str


class Hypervisor:
    """Copies memory by passes; throttles as QEMU does."""

    def __init__(self, guest: Guest, options: request.Options) -> None:
        self.guest = guest
        self.options = options
        self.now = 0.0
        self.iteration = 1
        self.left_mib = guest.memory_mib
        self.sent_mib = 0.0
        self.dirty_mib_s = 0.0
        self.throttle = 0
        self._high = 0

    def statistics(self, left_mib: float | None = None) -> events.Statistics:
        left_mib = self.left_mib if left_mib is None else left_mib
        return events.Statistics(
            total_mib=self.guest.memory_mib,
            transferred_mib=self.sent_mib + self.left_mib - left_mib,
            remaining_mib=left_mib,
            bandwidth_mib_s=self.guest.bandwidth_mib_s,
            dirty_rate_mib_s=self.dirty_mib_s,
            iteration=self.iteration,
            throttle_percent=self.throttle,
        )

    @property
    def pause_ms(self) -> float:
        return self.left_mib / self.guest.bandwidth_mib_s * 1000

    def copy(self) -> None:
        """Make one pass."""
        sent = self.left_mib
        seconds = sent / self.guest.bandwidth_mib_s
        self.now += seconds
        self.sent_mib += sent
        self.left_mib = self.guest.dirtied_mib(seconds, self.throttle)
        self.dirty_mib_s = self.left_mib / seconds
        self.iteration += 1
        if self.options.auto_converge and self.left_mib > sent / 2:
            self._high += 1
            if self._high >= 2:
                self._high = 0
                self.throttle = (
                    min(
                        99,
                        self.throttle
                        + self.options.auto_converge_increment_percent,
                    )
                    if self.throttle
                    else self.options.auto_converge_initial_percent
                )


def migrate(
    guest: Guest, policy: contract.Convergence, options: request.Options
) -> Run:
    """Copy *guest* under *policy* until it is over."""
    settings = policy.begin(options, None, 0.0)
    hypervisor = Hypervisor(guest, settings.options)
    limit = settings.downtime_ms
    highest = 0

    def over(end: str, reason: str) -> Run:
        seconds = hypervisor.now + hypervisor.pause_ms / 1000
        return Run(
            end,
            seconds,
            hypervisor.iteration - 1,
            hypervisor.pause_ms,
            limit,
            highest,
            reason,
        )

    policy.judge(hypervisor.statistics(), 0.0, True)
    half_way_mib = 0.0
    for number in range(MOST_PASSES):
        if number == MOST_PASSES // 2:
            half_way_mib = hypervisor.left_mib
        middle = hypervisor.now + hypervisor.pause_ms / 2000
        decisions = [
            policy.judge(
                hypervisor.statistics(hypervisor.left_mib / 2), middle, False
            )
        ]
        hypervisor.copy()
        highest = max(highest, hypervisor.throttle)
        if hypervisor.pause_ms <= limit:
            return over('switched', 'what is left fits')
        decisions.append(
            policy.judge(hypervisor.statistics(), hypervisor.now, True)
        )
        for decision in decisions:
            if isinstance(decision, contract.RaiseDowntime):
                limit = decision.downtime_ms
            elif isinstance(decision, contract.StartPostCopy):
                return over('post-copy', decision.reason)
            elif isinstance(decision, contract.GiveUp):
                return over('given up', decision.reason)
        if hypervisor.pause_ms <= limit:
            return over('switched', 'what is left fits')
    # who writes exactly as fast as it is sent falls for ever, ever slower
    hypothesis.assume(hypervisor.left_mib >= 0.9 * half_way_mib)
    raise AssertionError('the copy never ended')


def would_converge(
    guest: Guest, options: request.Options, limit_seconds: float
) -> bool:
    """Say whether *guest* gets across with every limit at its end."""
    hypervisor = Hypervisor(guest, options)
    while hypervisor.now <= limit_seconds:
        hypervisor.copy()
        if hypervisor.throttle > options.max_throttle_percent:
            return False
        if hypervisor.pause_ms <= options.max_downtime_ms:
            return hypervisor.now <= limit_seconds
    return False
