"""The default policy: decides at boundaries, on the memory that is left.

At the end of each pass it asks how long the guest would stand still if it
were switched now, and what the last passes say of the next ones. From there
it climbs a ladder, and takes the next rung as soon as a rung is spent:

1. raise the limit of downtime, as far as it is allowed, when what is left
   fits it and no longer falls fast;
2. give auto-converge time: while the throttle still rises it is not stalled;
3. post-copy, where allowed, after one full pass;
4. a stop that fits the downtime that is allowed;
5. give up, and say why.

A dirty rate above the bandwidth alone decides nothing: pages that are
written twice are sent once. A bandwidth that fell to less than half of its
peak is a fault of the network, and says nothing of the guest's memory: it
neither starts post-copy nor counts as a stall.
"""

import dataclasses
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import trend
from kvm_balancer.model import plan

#: QEMU's own limit: not more than this is asked for at first, so that a
#: guest that converges stops for no longer than under a bare hypervisor.
FIRST_DOWNTIME_MS = 300
#: The room left to the hypervisor's own idea of the bandwidth.
DOWNTIME_MARGIN = 1.1
#: A pass that halves what is left is worth another one: it takes less time
#: than the downtime it saves allows for.
FALLS_FAST = 0.5
#: From here on what is left hardly falls.
HARDLY_FALLS = 0.9
#: QEMU raises the throttle when the guest dirtied more than half of what
#: was sent, in two passes in a row.
THROTTLES_ABOVE = 0.5
#: QEMU's defaults; its highest throttle is 99 %.
FIRST_THROTTLE_PERCENT = 20
THROTTLE_STEP_PERCENT = 10
HIGHEST_THROTTLE_PERCENT = 99
#: Passes in which a throttle that is to rise has risen: two, and as many
#: again for hypervisors that count otherwise.
THROTTLE_PASSES = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried before a migration is given up.

    :ivar ratios: passes in a row, at one throttle, that must agree that
        nothing is gained
    :ivar budget: how many times a full pass it may take, without a limit in
        time from the request
    :ivar collapse_seconds: how long a network fault is waited for
    """

    ratios: int
    budget: float
    collapse_seconds: float


PATIENCE = {
    request.Profile.BALANCE: Patience(3, 16.0, 60.0),
    request.Profile.DRAIN: Patience(6, 64.0, 300.0),
}

#: An estimate from few passes may be wrong by as much; before the limit in
#: time is reached, it is given up only well beyond it.
ESTIMATE_MARGIN = 1.5


class Adaptive(contract.Convergence):
    """Decide by what is left at the end of each pass."""

    def __init__(self, params: contract.Params | None = None) -> None:
        super().__init__(params)
        self._options = request.Options()
        self._patience = PATIENCE[request.Profile.BALANCE]
        self._trend = trend.Trend()
        self._limit_ms = 0
        self._begun_at = 0.0
        self._post_copy = False
        self._fitted = False
        self._last_chance_until: float | None = None

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        self._options = settle_throttle(options)
        self._patience = PATIENCE[options.profile]
        self._post_copy = options.post_copy
        self._begun_at = at
        self._limit_ms = min(FIRST_DOWNTIME_MS, options.max_downtime_ms)
        return contract.Settings(self._options, self._limit_ms)

    def post_copy_refused(self, reason: str) -> None:
        self._post_copy = False

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        self._trend.measure(statistics, at, boundary)
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
            return self._fits()
        self._fitted = False
        if self._trend.collapsed_since is not None:
            return self._collapsed(at - self._trend.collapsed_since)
        return self._does_not_fit(at)

    # -- what is left fits the downtime that is allowed --------------------

    def _fits(self) -> contract.Decision:
        pause, ratio = self._trend.pause_ms, self._trend.ratio()
        if pause <= self._limit_ms and not self._fitted:
            self._fitted = True
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms fits the limit of'
                f' {self._limit_ms} ms: about to switch'
            )
        if pause > self._limit_ms and ratio <= FALLS_FAST:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms is allowed, and the next pass'
                f' leaves {ratio:.0%} of it'
            )
        # it fitted before and was not switched: the hypervisor takes the
        # bandwidth for lower than it is
        wanted = max(pause * DOWNTIME_MARGIN, self._limit_ms * 1.5)
        if self._limit_ms >= self._options.max_downtime_ms:
            return contract.CarryOn(
                f'a pause of {pause:.0f} ms fits what is allowed'
            )
        return self._raise(
            wanted, f'a pause of {pause:.0f} ms is allowed, and hardly falls'
        )

    def _raise(self, wanted_ms: float, why: str) -> contract.Decision:
        self._limit_ms = min(
            math.ceil(wanted_ms), self._options.max_downtime_ms
        )
        return contract.RaiseDowntime(why, self._limit_ms)

    # -- it does not -------------------------------------------------------

    def _does_not_fit(self, at: float) -> contract.Decision:
        pause, ratio = self._trend.pause_ms, self._trend.ratio()
        seen = (
            f'a pause of {pause:.0f} ms is over the'
            f' {self._options.max_downtime_ms} ms allowed, and a pass leaves'
            f' {ratio:.0%} of the one before'
        )
        throttle = self._trend.boundaries[-1].throttle_percent
        if self._throttle_spent(throttle):
            return self._next_rung(
                f'{seen}; the throttle of {throttle} % may not rise further'
                f' ({self._options.max_throttle_percent} % allowed)'
            )
        takes = at - self._started_at + self._seconds_left()
        if self._post_copy and self._post_copy_is_better(at, takes):
            return self._next_rung(
                f'{seen}; pre-copy would take {_seconds(takes)}'
            )
        budget = self._budget_seconds()
        if takes > budget and self._hopeless():
            return self._next_rung(
                f'{seen}; pre-copy would take {_seconds(takes)}, and'
                f' {_seconds(budget)} are granted'
            )
        if (
            ratio >= HARDLY_FALLS
            and self._limit_ms < self._options.max_downtime_ms
        ):
            return self._raise(self._options.max_downtime_ms, seen)
        return contract.CarryOn(seen)

    def _throttle_spent(self, throttle: int) -> bool:
        """Say whether the throttle is where it may not rise any more."""
        allowed = self._options.max_throttle_percent
        if not self._options.auto_converge:
            return False
        if throttle > allowed:
            return True
        step = self._options.auto_converge_increment_percent
        return (
            allowed < HIGHEST_THROTTLE_PERCENT
            and throttle > 0
            and throttle + step > allowed
            and self._trend.since_throttled >= 2
            and self._trend.ratio() > THROTTLES_ABOVE
        )

    def _throttle_may_act(self) -> bool:
        """Say whether a throttle is yet to come, or has just risen."""
        throttle = self._trend.boundaries[-1].throttle_percent
        return (
            self._options.auto_converge
            and throttle < self._options.max_throttle_percent
            and self._trend.since_throttled <= THROTTLE_PASSES
        )

    def _post_copy_is_better(self, at: float, takes: float) -> bool:
        """Compare pre-copy from here on with the hybrid of one pass."""
        seen = self._trend
        again = seen.boundaries[0].remaining_mib / seen.bandwidth_mib_s
        granted = prediction.PATIENCE * (seen.first_pass_seconds + again)
        if takes <= granted:
            return False
        if self._throttle_may_act():
            next_boundary = at - self._started_at + seen.pause_ms / 1000.0
            return next_boundary > granted
        return True

    def _hopeless(self) -> bool:
        return (
            self._trend.since_throttled > self._patience.ratios
            and not self._throttle_may_act()
        )

    def _seconds_left(self) -> float:
        return self._trend.seconds_left(self._options.max_downtime_ms)

    def _budget_seconds(self) -> float:
        limit = self._options.time_limit_seconds
        if limit > 0:
            return ESTIMATE_MARGIN * limit
        return self._patience.budget * self._trend.first_pass_seconds

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


def settle_throttle(options: request.Options) -> request.Options:
    """Choose the throttle's first value and step so that they fit.

    Where the request leaves them to the hypervisor, its defaults are taken
    as far as the throttle that is allowed; auto-converge is off where that
    is none.
    """
    allowed = options.max_throttle_percent
    if not options.auto_converge or allowed <= 0:
        return dataclasses.replace(options, auto_converge=False)
    first = min(
        options.auto_converge_initial_percent or FIRST_THROTTLE_PERCENT,
        allowed,
    )
    step = options.auto_converge_increment_percent or THROTTLE_STEP_PERCENT
    if allowed < HIGHEST_THROTTLE_PERCENT and allowed > first:
        # equal steps that end on what is allowed, or just below it
        steps = math.ceil((allowed - first) / step)
        step = max(1, (allowed - first) // steps)
    return dataclasses.replace(
        options,
        auto_converge_initial_percent=first,
        auto_converge_increment_percent=step,
    )


def _seconds(seconds: float) -> str:
    return f'{seconds:.0f} s' if math.isfinite(seconds) else 'for ever'
