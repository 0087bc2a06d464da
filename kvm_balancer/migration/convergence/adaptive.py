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
never starts post-copy. It is seen at every look, not only at the ends of
passes: a pass over a link that is dead has none. What the end of a pass
asked for meanwhile is decided when the link is sound.

For as long as the profile is patient with it nothing is decided but a switch
that fits. Then a link that carries next to nothing is given up; one that is
only slow is gone on with, on all rungs but post-copy: who converges over it
does so, and who cannot is given up, by a fault of the network.
"""

import math

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import curve
from kvm_balancer.migration.convergence import fault as faults
from kvm_balancer.migration.convergence import fitting
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.convergence import throttle
from kvm_balancer.migration.convergence import trend
from kvm_balancer.model import plan

#: A pass that leaves more of what it carried needs all that is allowed.
HARDLY_FALLS = 0.9
#: Whether compression is of use is seen by a pass of this share of the time.
WORTH_OF_COMPRESSION = 0.25
#: A prediction of what is left after the first pass is believed when no more
#: is left than this many times as much.
CONFIRMS = 1.25
#: The word of a hypervisor, or of a stream, is waited for as long when the
#: time is up: both are silent for moments.
SILENT_SECONDS = 5.0


class Adaptive(contract.Convergence):
    """Decide by what is left at the end of each pass."""

    def __init__(self, params: contract.Params | None = None) -> None:
        super().__init__(params)
        self._settle(request.Options(), 0.0)
        self._predicted: plan.Prediction | None = None

    def _settle(self, options: request.Options, at: float) -> None:
        self._options = throttle.settle(options)
        self._post_copy = options.post_copy
        self._throttle = throttle.Watch(self._options)
        self._trend = trend.Trend(bool(options.compression))
        self._limits = patience.Limits(self._options, at, self._trend)
        self._fitting = fitting.Fitting(
            self._options, self._trend, self._limits
        )
        self._fault = faults.Fault(
            self._trend, self._limits.patience.collapse_seconds
        )
        self._held_back = False
        self._last_chance_until: float | None = None

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        self._settle(options, at)
        self._predicted = predicted
        return contract.Settings(self._options, self._fitting.limit_ms)

    def post_copy_refused(self, reason: str) -> None:
        self._post_copy = False

    def bandwidth_limited(self, mib_s: int, at: float) -> None:
        self._trend.link.limit(mib_s)

    def link_shared(self, streams: int, at: float) -> None:
        self._trend.link.share(streams)

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        before = len(self._trend.boundaries)
        new = self._trend.measure(statistics, at, boundary)
        if len(self._trend.boundaries) > before:
            self._throttle.take(self._trend.boundaries[-1])
        if self._limits.over(at):
            passed = bool(self._trend.boundaries) or statistics.iteration >= 2
            return self._at_time_limit(at, boundary, new, passed)
        fault = self._fault.decide(at)
        if fault is not None and boundary and self._may_switch(fault):
            return self._switch(at)
        boundary = boundary and bool(self._trend.boundaries)
        due = boundary or self._held_back
        if fault is None and due and self._trend.link.unsure:
            fault = contract.CarryOn('its share was raised just now')
        self._held_back = due and (fault is not None or self._fault.lasts)
        if fault is not None:
            return fault
        if boundary if self._fault.lasts else due:
            return self._decide(at)
        if self._limits.spent(at) and not self._fitting.fits:
            return self._next_rung(
                f'{self._seen()}, and'
                f' {_seconds(self._limits.budget_seconds())} were granted'
            )
        return contract.CarryOn(
            f'pass {statistics.iteration},'
            f' {statistics.remaining_mib:.0f} MiB left'
        )

    def _decide(self, at: float) -> contract.Decision:
        """Climb the ladder, with what the last pass left."""
        if not math.isfinite(self._trend.pause_ms):
            return contract.CarryOn('the bandwidth is not known yet')
        if not self._fitting.fits:
            self._fitting.misses()
            return self._does_not_fit(at)
        self._limits.progresses()
        return self._switch(at)

    def _switch(self, at: float) -> contract.Decision:
        """Let the hypervisor switch, as soon as that is worth it."""
        granted = (
            self._limits.hybrid_seconds() if self._may_post_copy else math.inf
        )
        return self._fitting.decide(at, granted)

    # -- the network -------------------------------------------------------

    @property
    def _may_post_copy(self) -> bool:
        """Post-copy is allowed, and the network is sound."""
        return self._post_copy and not self._fault.lasts

    def _may_switch(self, fault: contract.Decision) -> bool:
        """Say whether what is left fits even at what the fault leaves."""
        return isinstance(fault, contract.CarryOn) and self._stop_fits

    @property
    def _stop_fits(self) -> bool:
        """What is left fits, as far as the network shows.

        Over a link that carries next to nothing no guest is stopped.
        """
        return (
            bool(self._trend.boundaries)
            and self._trend.link.carries
            and self._fitting.fits
        )

    # -- what is left does not fit the downtime that is allowed ------------

    def _seen(self) -> str:
        seen = f'a pause of {self._trend.pause_ms:.0f} ms is over the'
        return f'{seen} {self._options.max_downtime_ms} ms allowed'

    def _does_not_fit(self, at: float) -> contract.Decision:
        seen = (
            f'{self._seen()}, and {self._trend.ratio():.0%} of what the pass'
            f' carried got dirty'
        )
        seconds = self._trend.next_pass_seconds
        stop = self._options.max_downtime_ms / 1000.0
        left = self._seconds_left(hopefully=not self._may_post_copy)
        granted = self._limits.budget_seconds() - self._limits.elapsed(at)
        if self._throttle.spent(seconds) or (
            self._throttle.in_vain(seconds, left - stop, granted)
            and not self._waits_for_the_network
        ):
            return self._next_rung(
                f'{seen}; the throttle of {self._throttle.percent} % may not'
                f' rise further'
                f' ({self._options.max_throttle_percent} % allowed)'
            )
        if self._may_post_copy and self._post_copy_is_due(at):
            return self._next_rung(
                f'{seen}; pre-copy would take {_seconds(self._takes(at))}'
                f' and {_seconds(self._limits.hybrid_seconds())} are granted'
            )
        takes = self._takes(at, curve.STRAIGHT)
        if self._limits.hopeless(
            at, takes, self._throttle.may_rise, waited=self._fault.lasts
        ):
            return self._next_rung(
                f'{seen}; pre-copy would take {_seconds(takes)}, and'
                f' {_seconds(self._limits.budget_seconds())} are granted'
            )
        if self._fitting.may_rise and (
            self._throttle.percent > 0
            or self._throttle.may_rise
            or self._trend.ratio() >= HARDLY_FALLS
            or not math.isfinite(takes)
            or self._is_late(at)
        ):
            return self._fitting.rise(seen)
        return contract.CarryOn(seen)

    @property
    def _waits_for_the_network(self) -> bool:
        """Nothing but giving up is left, and a sound link was good enough."""
        only = not self._post_copy and not self._fitting.may_rise
        return only and self._fitting.fits_at_best and not self._fault.lasts

    def _post_copy_is_due(self, at: float) -> bool:
        """Compare pre-copy from here on with the hybrid of one pass."""
        granted = self._limits.hybrid_seconds()
        elapsed = self._limits.elapsed(at)
        pause = self._trend.pause_ms / 1000.0
        if (
            # one that has not begun begins after two passes at the earliest
            self._throttle.percent > 0
            and self._throttle.may_rise
            and elapsed + pause <= granted
        ):
            return False
        # even if the next pass leaves all of it again
        again = self._trend.next_pass_seconds - self._trend.done_seconds
        if elapsed + again + pause <= granted:
            return False
        if (
            self._options.compression
            and len(self._trend.boundaries) < 2
            and pause <= WORTH_OF_COMPRESSION * elapsed
        ):
            # what it gains shows in the second pass only
            return False
        return self._takes(at) > granted

    def _is_late(self, at: float) -> bool:
        """Say whether the present limit of the downtime takes too long."""
        left = self._limits.left(at)
        if left is None:
            return False
        seconds = self._trend.seconds_left(self._fitting.limit_ms)
        return seconds - self._trend.done_seconds > left

    def _takes(self, at: float, bend: float | None = None) -> float:
        """Return how long pre-copy would take in all."""
        left = self._seconds_left(bend) - self._trend.done_seconds
        return self._limits.elapsed(at) + left

    def _seconds_left(
        self, bend: float | None = None, hopefully: bool = False
    ) -> float:
        if bend is None and self._trend.bend() is None:
            bend = self._first_guess()
        return self._trend.seconds_left(
            self._options.max_downtime_ms, bend, hopefully
        )

    def _first_guess(self) -> float:
        """Say what to make of a curve of which one point is known."""
        if (
            self._predicted is None
            or len(self._trend.boundaries) > 1
            or self._options.compression
        ):
            return curve.STRAIGHT
        first = self._trend.boundaries[0]
        expected = self._predicted.mib - first.carried_mib
        confirmed = (
            self._predicted.mode is plan.Mode.POST_COPY
            and first.remaining_mib * CONFIRMS >= expected
        )
        return curve.FLAT if confirmed else curve.STRAIGHT

    # -- the upper rungs ---------------------------------------------------

    def _next_rung(self, why: str) -> contract.Decision:
        if self._may_post_copy:
            return contract.StartPostCopy(why)
        if self._fitting.may_rise:
            return self._fitting.rise(why)
        if self._fault.lasts:
            return contract.GiveUp(f'{why}; {self._fault.reason}')
        if self._options.post_copy:
            return contract.GiveUp(f'{why}; post-copy was refused')
        return contract.GiveUp(f'{why}; {self.no_post_copy}')

    def _at_time_limit(
        self, at: float, boundary: bool, new: bool, passed: bool
    ) -> contract.Decision:
        """Take what is left to take.

        :param passed: a full pass is over, also one that was not seen
        """
        seen = self._trend
        why = (
            f'the time limit of {self._options.time_limit_seconds:g} s'
            f' passed with {seen.remaining_mib:.0f} MiB left'
        )
        if self._may_post_copy and passed:
            if new and seen.pulse.beats:
                return contract.StartPostCopy(why)
            if at - seen.pulse.beat_at < SILENT_SECONDS:
                return contract.CarryOn(f'{why}: about to see what flows')
        if at - seen.pulse.seen_at >= SILENT_SECONDS:
            return contract.GiveUp(f'{why}, and nothing is heard of it')
        silent = at - seen.pulse.beat_at >= SILENT_SECONDS
        if silent or (self._fault.lasts and not self._stop_fits):
            return contract.GiveUp(f'{why}, by a fault of the network')
        if self._last_chance_until is None and self._fitting.fits:
            # the pass that is under way, and the stop
            stop = self._fitting.allowed_ms / 1000.0
            self._last_chance_until = at + 2.0 * stop
            return self._fitting.rise(f'{why}, which fit what is allowed')
        if (
            self._last_chance_until is not None
            and at < self._last_chance_until
            and not boundary
        ):
            return contract.CarryOn(f'{why}: about to switch')
        if self._fault.lasts:
            return contract.GiveUp(f'{why}; {self._fault.reason}')
        return contract.GiveUp(why)


def _seconds(seconds: float) -> str:
    return f'{seconds:.0f} s' if math.isfinite(seconds) else 'for ever'
