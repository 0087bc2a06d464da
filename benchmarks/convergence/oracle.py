"""Who knows the guest: what would have become of it, and what was wrong.

A request's limits in time are its own where it has one, and what a profile
grants elsewhere. Where post-copy is allowed pre-copy is due as long as it
takes no more than ``post_copy_patience`` times as long as the hybrid of one
pass.
"""

import dataclasses
import enum
import itertools
import math

from benchmarks.convergence import cases
from benchmarks.convergence import drive
from kvm_balancer.migration import events
from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.convergence import throttle
from kvm_balancer.model import plan

#: What takes the last hundredth of its limit is neither within nor beyond.
GRACE = 0.99


class Wrong(enum.StrEnum):
    """What a policy got wrong."""

    GAVE_UP = 'gave up'
    POST_COPIED = 'post-copied'
    LATE = 'late'


class Patient(contract.Convergence):
    """Use all that is allowed from the start on, and wait.

    :param seconds: give up after it
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._throttle_percent = 99

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        self._throttle_percent = options.max_throttle_percent
        return contract.Settings(
            throttle.settle(options), options.max_downtime_ms
        )

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        if at > self._seconds:
            return contract.GiveUp('its time is over')
        if statistics.throttle_percent > self._throttle_percent:
            return contract.GiveUp('more throttle than is allowed')
        return contract.CarryOn('patience')


class Hasty(Patient):
    """Start post-copy with the end of the first pass."""

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        if boundary and statistics.iteration > 1:
            return contract.StartPostCopy('haste')
        return contract.CarryOn('haste')


class Bare(Patient):
    """Leave all to the hypervisor: 300 ms, and no throttle."""

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        plain = dataclasses.replace(options, auto_converge=False)
        return contract.Settings(plain, min(300, options.max_downtime_ms))


@dataclasses.dataclass(frozen=True)
class Truth:
    """What was possible.

    :ivar patient: with all that is allowed but post-copy, and all the time
        that is granted
    :ivar limit_seconds: how long it may take to converge
    :ivar hybrid_seconds: what post-copy with the end of the first pass
        takes, on this guest and this network
    """

    patient: drive.Ran
    limit_seconds: float
    hybrid_seconds: float

    def converges(self, share: float = 1.0) -> bool:
        """Say whether it converges within a *share* of its limits."""
        return (
            self.patient.end == drive.SWITCHED
            and self.patient.seconds <= share * self.limit_seconds
        )


def _unlimited(case: cases.Case, post_copy: bool) -> cases.Case:
    return dataclasses.replace(
        case,
        predicted=None,
        options=dataclasses.replace(
            case.options, post_copy=post_copy, time_limit_seconds=0.0
        ),
    )


def patient(case: cases.Case, seconds: float) -> drive.Ran:
    """Copy the guest with all patience, but without post-copy."""
    return drive.run(_unlimited(case, False), Patient(seconds))


def hasty(case: cases.Case) -> drive.Ran:
    """Copy the guest with post-copy after one pass."""
    return drive.run(_unlimited(case, True), Hasty(math.inf))


def ask(case: cases.Case) -> Truth:
    """Copy the guest with all patience, and with none."""
    options = case.options
    granted = options.time_limit_seconds or patience.granted_seconds(
        options, case.full_seconds
    )
    patiently = patient(case, granted)
    hybrid = math.inf
    if options.post_copy:
        hybrid = hasty(case).seconds
        granted = min(granted, options.post_copy_patience * hybrid)
    return Truth(patiently, granted, hybrid)


def judge(case: cases.Case, truth: Truth, ran: drive.Ran) -> frozenset[Wrong]:
    """Say what was wrong about a run, with hindsight."""
    found = set()
    converges = truth.converges(GRACE)
    if ran.end == drive.GIVEN_UP and (converges or case.options.post_copy):
        found.add(Wrong.GAVE_UP)
    if ran.end == drive.POST_COPY and converges:
        found.add(Wrong.POST_COPIED)
    if ran.end == drive.POST_COPY and _late(case, truth, ran):
        found.add(Wrong.LATE)
    return frozenset(found)


def foreseeable(case: cases.Case, ran: drive.Ran, wrong: Wrong) -> bool:
    """Say whether it could have been known that it was wrong.

    It could not where the guest, or the network, was to change; where the
    answer to how much was left came after the end of the next pass; or what
    compression gains, before a second pass shows it.
    """
    if not case.steady:
        return False
    if case.options.compression and (
        wrong is Wrong.POST_COPIED and ran.decided_at <= ran.passes[0].at
    ):
        return False
    if wrong is Wrong.LATE:
        return case.predicted is not None and not case.late_seconds
    ends = [one.at for one in ran.passes if one.at <= ran.decided_at]
    shortest = min(
        (after - before for before, after in itertools.pairwise(ends)),
        default=math.inf,
    )
    last = min(one.left_mib for one in ran.passes if one.at <= ran.decided_at)
    return case.late_seconds < min(shortest, last / case.bandwidth_mib_s)


def _late(case: cases.Case, truth: Truth, ran: drive.Ran) -> bool:
    """Say whether post-copy came late for a guest that cannot converge.

    It is due a second after the first pass, or after what little time the
    next one takes; where the guest may be throttled, two passes after it is
    as much as it may. Where two guests leave the same after the first pass,
    and one of them converges, the second pass has to show which it is.
    """
    if truth.patient.end == drive.SWITCHED or not ran.passes:
        return False
    if not case.options.auto_converge:
        first = ran.passes[0]
        more = case.options.post_copy_patience - 1.0
        wait = max(1.0, more * truth.hybrid_seconds)
        if _may_converge(case, first):
            wait += first.left_mib / case.bandwidth_mib_s
        return ran.decided_at > first.at + wait + case.late_seconds
    spent = _spent(case, ran)
    return len(spent) > 2 and ran.decided_at > spent[2] + case.late_seconds


def _spent(case: cases.Case, ran: drive.Ran) -> list[float]:
    """Return the ends of passes at the highest throttle that is allowed."""
    settled = throttle.settle(case.options)
    step = settled.auto_converge_increment_percent
    allowed = case.options.max_throttle_percent
    # the hypervisor's own last step is cut short, not left out
    highest = allowed >= qemu.HIGHEST_THROTTLE_PERCENT
    least = allowed if highest else allowed - step + 1
    return [one.at for one in ran.passes if one.throttle_percent >= least]


def passes_after_throttle(case: cases.Case, ran: drive.Ran) -> int:
    """Count passes from the throttle that is allowed to the decision."""
    return sum(at <= ran.decided_at for at in _spent(case, ran)[1:])


def nearly_converges(case: cases.Case) -> bool:
    """Say whether half as long a stop again would have been enough."""
    options = dataclasses.replace(
        case.options, max_downtime_ms=case.options.max_downtime_ms * 3 // 2
    )
    granted = patience.granted_seconds(options, case.full_seconds)
    easier = dataclasses.replace(case, options=options)
    ran = drive.run(_unlimited(easier, False), Patient(granted))
    return ran.end == drive.SWITCHED


def _may_converge(case: cases.Case, first: drive.Pass) -> bool:
    """Say whether another guest that left as much would converge in time."""
    if case.predicted is not None and not case.options.compression:
        return False
    share = first.left_mib / case.guest.in_use_mib
    least = 1.0 / (1.0 - share) if share < 1.0 else math.inf
    return least <= case.options.post_copy_patience * (1.0 + share)
