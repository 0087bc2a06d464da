"""The default policy: decides at boundaries, on the memory that is left.

At the end of each pass it asks how long the guest would stand still if it
were switched now, and what the last passes say of the next ones. From there
it climbs a ladder, and takes the next rung as soon as a rung is spent:

1. raise the limit of downtime, as far as it is allowed, when what is left
   fits it and gets no smaller in the time that is worth it;
2. give auto-converge time: while the throttle still rises it is not stalled;
3. post-copy, where allowed, after one full pass;
4. a stop that fits the downtime that is allowed;
5. give up, and say why.

How long pre-copy may take is the request's limit in time. Where post-copy is
allowed, it is also ``post_copy_patience`` times what one pass and post-copy
after it take. What a second pass will leave cannot be seen in the first: a
guest that writes slowly to all of its memory, and one that writes fast to a
little of it, leave the same. Where it was predicted to converge, and what is
left does not speak against it, the least is taken that the next passes can
leave; else the most, and one more pass is made only where even that keeps to
the limit.

A dirty rate above the bandwidth alone decides nothing: pages that are
written twice are sent once. A bandwidth that fell to less than half of its
peak is a fault of the network, and says nothing of the guest's memory: it
neither starts post-copy nor counts as a stall.
"""

import dataclasses
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import throttle
from kvm_balancer.migration.convergence import trend
from kvm_balancer.model import plan

#: QEMU's own limit: not more than this is asked for at first, so that a
#: guest that converges stops for no longer than under a bare hypervisor.
FIRST_DOWNTIME_MS = 300
#: The room left to the hypervisor's own idea of the bandwidth.
DOWNTIME_MARGIN = 1.1
#: A shorter stop is worth so many times what it saves,
WORTH_OF_DOWNTIME = 10.0
#: and this share of the time that it took so far, where that is more.
WORTH_OF_TIME = 0.1
#: A pass that leaves more of what it carried needs all that is allowed.
HARDLY_FALLS = 0.9
#: What fits is switched with the next pass; after so many without a switch
#: the hypervisor takes the bandwidth for lower than it is.
FITTING_PASSES = 3
#: Whether compression is of use is seen by a pass of this share of the time.
WORTH_OF_COMPRESSION = 0.25
#: A prediction of what is left after the first pass is believed when no more
#: is left than this many times as much.
CONFIRMS = 1.25


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried before a migration is given up.

    :ivar passes: that must agree in a row that nothing is gained, and
    :ivar stall_seconds: how long they must
    :ivar budget: how many times a full pass it may take, without a limit in
        time from the request
    :ivar collapse_seconds: how long a network fault is waited for
    """

    passes: int
    stall_seconds: float
    budget: float
    collapse_seconds: float


PATIENCE = {
    request.Profile.BALANCE: Patience(3, 60.0, 16.0, 60.0),
    request.Profile.DRAIN: Patience(6, 300.0, 64.0, 300.0),
}

#: An estimate from few passes may be wrong by as much; before the limit in
#: time is reached, it is given up only well beyond it.
ESTIMATE_MARGIN = 1.5

settle_throttle = throttle.settle


class Adaptive(contract.Convergence):
    """Decide by what is left at the end of each pass."""

    def __init__(self, params: contract.Params | None = None) -> None:
        super().__init__(params)
        self._options = request.Options()
        self._patience = PATIENCE[request.Profile.BALANCE]
        self._predicted: plan.Prediction | None = None
        self._trend = trend.Trend()
        self._throttle = throttle.Watch(self._options)
        self._limit_ms = 0
        self._begun_at = 0.0
        self._post_copy = False
        self._fitting = 0
        self._stalled = 0
        self._stalled_since = 0.0
        self._waits_until: float | None = None
        self._last_chance_until: float | None = None

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        self._options = throttle.settle(options)
        self._throttle = throttle.Watch(self._options)
        self._trend = trend.Trend(bool(options.compression))
        self._predicted = predicted
        self._patience = PATIENCE[options.profile]
        self._post_copy = options.post_copy
        self._begun_at = at
        self._limit_ms = min(FIRST_DOWNTIME_MS, options.max_downtime_ms)
        self._trend.limit_ms = self._limit_ms
        return contract.Settings(self._options, self._limit_ms)

    def post_copy_refused(self, reason: str) -> None:
        self._post_copy = False

    def bandwidth_limited(self, mib_s: int, at: float) -> None:
        self._trend.link.limit(mib_s)

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        before = len(self._trend.boundaries)
        self._trend.measure(statistics, at, boundary)
        if len(self._trend.boundaries) > before:
            self._throttle.take(self._trend.boundaries[-1])
        if self._over_time(at):
            return self._at_time_limit(at, boundary)
        if not boundary or not self._trend.boundaries:
            return contract.CarryOn(
                f'pass {statistics.iteration},'
                f' {statistics.remaining_mib:.0f} MiB left'
            )
        if not math.isfinite(self._trend.pause_ms):
            return contract.CarryOn('the bandwidth is not known yet')
        if self._trend.pause_ms <= self._options.max_downtime_ms:
            self._stalled = 0
            return self._fits(at)
        self._fitting = 0
        if self._trend.collapsed_since is not None:
            return self._collapsed(at - self._trend.collapsed_since)
        return self._does_not_fit(at)

    # -- what is left fits the downtime that is allowed --------------------

    def _fits(self, at: float) -> contract.Decision:
        pause = self._trend.pause_ms
        if pause <= self._limit_ms:
            self._fitting += 1
            if self._fitting <= FITTING_PASSES:
                return contract.CarryOn(
                    f'a pause of {pause:.0f} ms fits the limit of'
                    f' {self._limit_ms} ms: about to switch'
                )
        if self._limit_ms >= self._options.max_downtime_ms:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms fits what is allowed'
            )
        takes = self._trend.seconds_left(self._limit_ms) - pause / 1000.0
        if self._waits_until is None:
            self._waits_until = at + self._worth(at)
        if pause > self._limit_ms and at + takes <= self._waits_until:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms is allowed, and one of'
                f' {self._limit_ms} ms comes within {takes:.1f} s'
            )
        self._fitting, self._waits_until = 0, None
        wanted = max(pause * DOWNTIME_MARGIN, self._limit_ms * 1.25)
        return self._raise(
            wanted, f'a pause of {pause:.0f} ms is allowed, and hardly falls'
        )

    def _worth(self, at: float) -> float:
        """Return how long a stop that fits the present limit is waited for."""
        saves = (self._trend.pause_ms - self._limit_ms) / 1000.0
        elapsed = at - self._started_at
        worth = max(WORTH_OF_DOWNTIME * saves, WORTH_OF_TIME * elapsed)
        limit = self._options.time_limit_seconds
        if limit > 0:
            worth = min(worth, (limit - (at - self._begun_at)) / 2.0)
        if self._post_copy:
            worth = min(worth, self._granted() - elapsed)
        return worth

    def _raise(self, wanted_ms: float, why: str) -> contract.Decision:
        self._limit_ms = min(
            math.ceil(wanted_ms), self._options.max_downtime_ms
        )
        self._trend.limit_ms = self._limit_ms
        return contract.RaiseDowntime(why, self._limit_ms)

    # -- it does not -------------------------------------------------------

    def _does_not_fit(self, at: float) -> contract.Decision:
        seen = (
            f'a pause of {self._trend.pause_ms:.0f} ms is over the'
            f' {self._options.max_downtime_ms} ms allowed, and'
            f' {self._trend.ratio():.0%} of what the pass carried got dirty'
        )
        seconds = self._trend.next_pass_seconds
        stop = self._options.max_downtime_ms / 1000.0
        if self._throttle.spent(seconds) or self._throttle.in_vain(
            seconds, self._seconds_left() - stop
        ):
            return self._next_rung(
                f'{seen}; the throttle of {self._throttle.percent} % may not'
                f' rise further'
                f' ({self._options.max_throttle_percent} % allowed)'
            )
        if self._post_copy and self._post_copy_is_due(at):
            return self._next_rung(
                f'{seen}; pre-copy would take {_seconds(self._takes(at))}'
                f' and {_seconds(self._granted())} are granted'
            )
        if self._is_hopeless(at):
            return self._next_rung(
                f'{seen}; pre-copy would take'
                f' {_seconds(self._takes(at, trend.STRAIGHT))}, and'
                f' {_seconds(self._budget_seconds())} are granted'
            )
        if self._limit_ms < self._options.max_downtime_ms and (
            self._throttle.percent > 0
            or self._throttle.may_rise
            or self._trend.ratio() >= HARDLY_FALLS
            or not math.isfinite(self._seconds_left(trend.STRAIGHT))
        ):
            return self._raise(self._options.max_downtime_ms, seen)
        return contract.CarryOn(seen)

    def _post_copy_is_due(self, at: float) -> bool:
        """Compare pre-copy from here on with the hybrid of one pass."""
        granted, elapsed = self._granted(), at - self._started_at
        pause = self._trend.pause_ms / 1000.0
        if (
            # one that has not begun begins after two passes at the earliest
            self._throttle.percent > 0
            and self._throttle.may_rise
            and elapsed + pause <= granted
        ):
            return False
        # even if it leaves all of it again
        if elapsed + 2.0 * pause <= granted:
            return False
        if (
            self._options.compression
            and len(self._trend.boundaries) < 2
            and pause <= WORTH_OF_COMPRESSION * elapsed
        ):
            # what it gains shows in the second pass only
            return False
        return self._takes(at) > granted

    def _granted(self) -> float:
        """Return how long pre-copy may take where post-copy is allowed."""
        seen = self._trend
        again = seen.link.seconds(seen.boundaries[0].remaining_mib)
        return (
            self._options.post_copy_patience
            * (seen.first_pass_seconds + again)
            + seen.link.lost_seconds
        )

    def _takes(self, at: float, bend: float | None = None) -> float:
        """Return how long pre-copy would take in all."""
        return at - self._started_at + self._seconds_left(bend)

    def _seconds_left(self, bend: float | None = None) -> float:
        if bend is None and self._trend.bend() is None:
            bend = self._first_guess()
        return self._trend.seconds_left(self._options.max_downtime_ms, bend)

    def _first_guess(self) -> float:
        """Say what to make of a curve of which one point is known."""
        if (
            self._predicted is None
            or len(self._trend.boundaries) > 1
            or self._options.compression
        ):
            return trend.STRAIGHT
        first = self._trend.boundaries[0]
        expected = self._predicted.mib - first.carried_mib
        confirmed = (
            self._predicted.mode is plan.Mode.POST_COPY
            and first.remaining_mib * CONFIRMS >= expected
        )
        return trend.FLAT if confirmed else trend.STRAIGHT

    def _is_hopeless(self, at: float) -> bool:
        """Say whether there is no more time, or no use for it."""
        budget = self._budget_seconds()
        if at - self._begun_at > budget:
            return True
        if (
            self._throttle.may_rise
            or self._takes(at, trend.STRAIGHT) <= ESTIMATE_MARGIN * budget
        ):
            self._stalled = 0
            return False
        if not self._stalled:
            self._stalled_since = at
        self._stalled += 1
        return (
            self._stalled > self._patience.passes
            and at - self._stalled_since >= self._patience.stall_seconds
        )

    def _budget_seconds(self) -> float:
        limit = self._options.time_limit_seconds
        if limit > 0:
            return limit
        return (
            self._patience.budget * self._trend.first_pass_seconds
            + self._trend.link.lost_seconds
        )

    @property
    def _started_at(self) -> float:
        started = self._trend.started_at
        return self._begun_at if started is None else started

    def _collapsed(self, seconds: float) -> contract.Decision:
        why = (
            f'the bandwidth fell to {self._trend.bandwidth_mib_s:.1f} MiB/s,'
            f' less than half of its peak: a fault of the network'
        )
        if seconds >= self._patience.collapse_seconds:
            return contract.GiveUp(f'{why}, for {seconds:.0f} s')
        return contract.CarryOn(why)

    # -- the upper rungs ---------------------------------------------------

    def _next_rung(self, why: str) -> contract.Decision:
        if self._post_copy:
            return contract.StartPostCopy(why)
        if self._limit_ms < self._options.max_downtime_ms:
            return self._raise(self._options.max_downtime_ms, why)
        if self._options.post_copy:
            return contract.GiveUp(f'{why}; post-copy was refused')
        return contract.GiveUp(f'{why}; post-copy is not allowed')

    def _over_time(self, at: float) -> bool:
        limit = self._options.time_limit_seconds
        return 0 < limit <= at - self._begun_at

    def _at_time_limit(self, at: float, boundary: bool) -> contract.Decision:
        why = (
            f'the time limit of {self._options.time_limit_seconds:g} s'
            f' passed with {self._trend.remaining_mib:.0f} MiB left'
        )
        seen = self._trend
        if (
            self._post_copy
            and seen.boundaries
            and seen.collapsed_since is None
        ):
            return contract.StartPostCopy(why)
        allowed = self._options.max_downtime_ms
        if self._last_chance_until is None and seen.pause_ms <= allowed:
            # the pass that is under way, and the stop
            self._last_chance_until = at + 2.0 * allowed / 1000.0
            return self._raise(allowed, f'{why}, which fit what is allowed')
        if (
            self._last_chance_until is not None
            and at < self._last_chance_until
            and not boundary
        ):
            return contract.CarryOn(f'{why}: about to switch')
        return contract.GiveUp(why)


def _seconds(seconds: float) -> str:
    return f'{seconds:.0f} s' if math.isfinite(seconds) else 'for ever'
