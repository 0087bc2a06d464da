"""The limit of the downtime: how far it is raised, and when.

It begins with the hypervisor's own and ends with what the guest is allowed.
What is left and fits what is allowed is switched at once where a shorter
stop is not worth its wait.
"""

import math

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.convergence import trend

#: The room left to the hypervisor's own idea of the bandwidth.
DOWNTIME_MARGIN = 1.1
#: A shorter stop is worth so many times what it saves,
WORTH_OF_DOWNTIME = 10.0
#: and this share of the time that it took so far, where that is more.
WORTH_OF_TIME = 0.1
#: What fits is switched with the next pass; after so many without a switch
#: the hypervisor takes the bandwidth for lower than it is.
FITTING_PASSES = 3


class Fitting:
    """The limit of the downtime of one migration.

    Not more than QEMU's own is asked for at first, so that a guest that
    converges stops for no longer than under a bare hypervisor.

    :ivar limit_ms: as it is
    """

    def __init__(
        self,
        options: request.Options,
        seen: trend.Trend,
        limits: patience.Limits,
    ) -> None:
        self.allowed_ms = options.max_downtime_ms
        self.limit_ms = min(qemu.FIRST_DOWNTIME_MS, self.allowed_ms)
        self._seen = seen
        self._limits = limits
        self._passes = 0
        self._waits_until: float | None = None
        seen.limit_ms = self.limit_ms

    @property
    def fits(self) -> bool:
        """What is left fits the downtime that is allowed."""
        return self._seen.pause_ms <= self.allowed_ms

    @property
    def fits_at_best(self) -> bool:
        """It would, over a link that is as good again as it was lately."""
        best = self._seen.link.best_seconds(self._seen.remaining_mib)
        return best * 1000.0 <= self.allowed_ms

    @property
    def may_rise(self) -> bool:
        """The limit is less than what is allowed."""
        return self.limit_ms < self.allowed_ms

    def misses(self) -> None:
        """Take note that what is left does not fit any more."""
        self._passes = 0

    def decide(self, at: float, granted: float) -> contract.Decision:
        """Say what to do about what fits.

        :param granted: seconds that pre-copy may take in all; infinite
            where nobody sets a limit
        """
        pause = self._seen.pause_ms
        if pause <= self.limit_ms:
            self._passes += 1
            if self._passes <= FITTING_PASSES:
                return contract.CarryOn(
                    f'a pause of {pause:.0f} ms fits the limit of'
                    f' {self.limit_ms} ms: about to switch'
                )
        if not self.may_rise:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms fits what is allowed'
            )
        takes = self._seen.seconds_left(self.limit_ms) - pause / 1000.0
        if self._waits_until is None:
            self._waits_until = at + self._worth(at, granted)
        if pause > self.limit_ms and at + takes <= self._waits_until:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms is allowed, and one of'
                f' {self.limit_ms} ms comes within {takes:.1f} s'
            )
        self._passes, self._waits_until = 0, None
        wanted = max(pause * DOWNTIME_MARGIN, self.limit_ms * 1.25)
        return self.rise(
            f'a pause of {pause:.0f} ms is allowed, and hardly falls', wanted
        )

    def rise(
        self, why: str, wanted_ms: float = math.inf
    ) -> contract.RaiseDowntime:
        """Raise the limit, as far as it is allowed."""
        self.limit_ms = math.ceil(min(wanted_ms, self.allowed_ms))
        self._seen.limit_ms = self.limit_ms
        return contract.RaiseDowntime(why, self.limit_ms)

    def _worth(self, at: float, granted: float) -> float:
        """Return how long a stop that fits the present limit is waited for."""
        pause = self._seen.pause_ms / 1000.0
        saves = pause - self.limit_ms / 1000.0
        elapsed = self._limits.elapsed(at)
        worth = max(WORTH_OF_DOWNTIME * saves, WORTH_OF_TIME * elapsed)
        left = self._limits.left(at)
        if left is not None:
            worth = min(worth, left / 2.0)
        # the stop is to end in time as well
        return min(worth, granted - elapsed - pause)
