"""How long a copy is worth waiting for: limits in time, and what is granted.

A request may have a limit of its own; what it leaves open is a matter of its
profile. Where post-copy is allowed pre-copy has as long as one full pass and
post-copy after it would take, and a little more.
"""

import dataclasses
import math

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import trend


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried before a migration is given up.

    :ivar passes: that must agree in a row that nothing is gained, and
    :ivar stall_seconds: how long they must
    :ivar budget: how many times a full pass it may take, without a limit in
        time from the request; short passes have the time that the throttle
        takes
    :ivar collapse_seconds: how long a network fault is waited for, before a
        link that stays slow is gone on with, without post-copy
    :ivar disk_seconds: how long nothing may be gained of its disks, where
        the request does not limit the time in which they are copied
    """

    passes: int
    stall_seconds: float
    budget: float
    collapse_seconds: float
    disk_seconds: float


PATIENCE = {
    request.Profile.BALANCE: Patience(3, 60.0, 16.0, 60.0, 600.0),
    request.Profile.DRAIN: Patience(6, 300.0, 64.0, 300.0, 3600.0),
}

#: Post-copy is not begun to save less than that, after the first pass.
WORTH_SECONDS = 1.0
#: Passes that show what the last step of the throttle did.
SHOWN_PASSES = 2

#: An estimate from few passes may be wrong by as much; before the limit in
#: time is reached, it is given up only well beyond it.
ESTIMATE_MARGIN = 1.5
#: Of a guest that was copied faster and slower one pass may mislead.
CONFIRMED_PASSES = 2


def least_seconds(options: request.Options) -> float:
    """Return what auto-converge takes up to the throttle that is allowed.

    However short its passes are: for each step QEMU looks twice, each time
    with the end of a pass that comes a second or more after the look before,
    and a pass that takes less than that ends within another second.

    :returns: 0 where no throttle is allowed
    """
    allowed = min(options.max_throttle_percent, qemu.HIGHEST_THROTTLE_PERCENT)
    if not options.auto_converge or allowed <= 0:
        return 0.0
    first = options.auto_converge_initial_percent or (
        qemu.FIRST_THROTTLE_PERCENT
    )
    step = (
        options.auto_converge_increment_percent or qemu.THROTTLE_STEP_PERCENT
    )
    steps = 1 + math.ceil(max(0, allowed - first) / step)
    look = 2.0 * qemu.THROTTLE_PERIOD_SECONDS
    return steps * qemu.THROTTLE_LOOKS * look


def granted_seconds(options: request.Options, pass_seconds: float) -> float:
    """Return how long it may take where the request sets no limit.

    :param pass_seconds: how long a full pass takes
    """
    budget = PATIENCE[options.profile].budget * pass_seconds
    return max(budget, least_seconds(options) + SHOWN_PASSES * pass_seconds)


class Limits:
    """The time that one migration has.

    :ivar patience: what its profile grants
    :param seen: its copy; times are asked for at the ends of its passes
    """

    def __init__(
        self, options: request.Options, begun_at: float, seen: trend.Trend
    ) -> None:
        self.patience = PATIENCE[options.profile]
        self._options = options
        self._begun_at = begun_at
        self._seen = seen
        self._stalled = 0
        self._stalled_since = 0.0

    def elapsed(self, at: float) -> float:
        """Return the seconds since the first byte."""
        started = self._seen.started_at
        return at - (self._begun_at if started is None else started)

    def left(self, at: float) -> float | None:
        """Return the seconds to the request's limit; None without one."""
        limit = self._options.time_limit_seconds
        return limit - (at - self._begun_at) if limit > 0 else None

    def over(self, at: float) -> bool:
        """Say whether the request's limit has passed."""
        left = self.left(at)
        return left is not None and left <= 0.0

    def hybrid_seconds(self) -> float:
        """Return how long pre-copy may take where post-copy is allowed."""
        seen, first = self._seen, self._seen.boundaries[0]
        again = seen.link.seconds(first.remaining_mib) + first.late_seconds
        seconds = seen.first_pass_seconds
        granted = self._options.post_copy_patience * (seconds + again)
        return max(granted, seconds + WORTH_SECONDS) + seen.link.lost_seconds

    def budget_seconds(self) -> float:
        """Return how long it may take in all; infinite before a full pass."""
        limit = self._options.time_limit_seconds
        if limit > 0:
            return limit
        return (
            granted_seconds(self._options, self._seen.first_pass_seconds)
            + self._seen.link.lost_seconds
        )

    def spent(self, at: float) -> bool:
        """Say whether there is no more time."""
        return at - self._begun_at > self.budget_seconds()

    def hopeless(
        self, at: float, takes: float, hopes: bool, waited: bool = False
    ) -> bool:
        """Say whether there is no more time, or no use for it.

        To be asked at the end of each pass that leaves too much.

        :param takes: how long it will take in all, if all goes on so
        :param hopes: it is going to be slowed down further
        :param waited: the network was given the time to mend already: a
            second pass that says so is enough
        """
        if self.spent(at):
            return True
        if hopes or takes <= ESTIMATE_MARGIN * self.budget_seconds():
            self.progresses()
            return False
        if not self._stalled:
            self._stalled_since = at
        self._stalled += 1
        if waited:
            return self._stalled >= CONFIRMED_PASSES
        return (
            self._stalled > self.patience.passes
            and at - self._stalled_since >= self.patience.stall_seconds
        )

    def progresses(self) -> None:
        """Forget how long nothing was gained."""
        self._stalled = 0
