"""How long a copy is worth waiting for: limits in time, and what is granted.

A request may have a limit of its own; what it leaves open is a matter of its
profile. Where post-copy is allowed pre-copy has as long as one full pass and
post-copy after it would take, and a little more.
"""

import dataclasses

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import trend


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried before a migration is given up.

    :ivar passes: that must agree in a row that nothing is gained, and
    :ivar stall_seconds: how long they must
    :ivar budget: how many times a full pass it may take, without a limit in
        time from the request
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

#: An estimate from few passes may be wrong by as much; before the limit in
#: time is reached, it is given up only well beyond it.
ESTIMATE_MARGIN = 1.5
#: Of a guest that was copied faster and slower one pass may mislead.
CONFIRMED_PASSES = 2


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
        return (
            self._options.post_copy_patience
            * (seen.first_pass_seconds + again)
            + seen.link.lost_seconds
        )

    def budget_seconds(self) -> float:
        """Return how long it may take in all; infinite before a full pass."""
        limit = self._options.time_limit_seconds
        if limit > 0:
            return limit
        return (
            self.patience.budget * self._seen.first_pass_seconds
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
