"""What a migration under way will still take, and how long it will stop.

Pure. Before anything was seen it is what was predicted; then what the copy
itself shows. Where neither says anything the answer is None: a guess that
nothing stands behind helps nobody.
"""

import dataclasses
import math

from kvm_balancer.migration import events
from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import trend
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import plan

_BEFORE = frozenset(
    {states.State.REQUESTED, states.State.PRE_FLIGHT, states.State.PREPARING}
)
_SENT_AFTERWARDS = frozenset({states.State.POST_COPY})


#: A first pass that left more than so many times all that was predicted to
#: follow it shows that the prediction was mistaken.
_REFUTES = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected; None where it is not known.

    :ivar remaining_seconds: until the guest and its memory are across
    :ivar expected_downtime_ms: how long the guest will stand still
    """

    remaining_seconds: float | None = None
    expected_downtime_ms: float | None = None


class Lookout:
    """Looks ahead in one migration.

    :ivar disk_mib_s: at which its disks are copied, as lately seen
    """

    def __init__(self, wanted: request.Request) -> None:
        self._options = wanted.options
        self._predicted = wanted.predicted
        self._trend = trend.Trend(bool(self._options.compression))
        self._last = events.Statistics()
        self._disk_seen_at: float | None = None
        self.disk_mib_s = 0.0

    def take(self, seen: events.Statistics, at: float, boundary: bool) -> None:
        """Note what the copy looks like.

        :param boundary: a pass over the memory has just ended
        """
        self._take_disks(seen, at)
        self._last = seen
        if seen.total_mib or seen.iteration:
            # the time of the disks, before that, is none of the memory's
            self._trend.measure(seen, at, boundary)

    def pass_left_mib(self, seen: events.Statistics) -> float:
        """Return what the pass left that ended as *seen* was taken.

        What was sent before they were answered is added again.
        """
        ends = self._trend.boundaries
        return ends[-1].remaining_mib if ends else seen.remaining_mib

    def expect(self, predicted: plan.Prediction | None) -> None:
        """Expect something else from now on."""
        self._predicted = predicted

    def limit(self, mib_s: float) -> None:
        """Take note that the stream may use so much from now on.

        :param mib_s: 0 for all there is
        """
        self._trend.link.limit(mib_s)

    def _take_disks(self, seen: events.Statistics, at: float) -> None:
        before, self._disk_seen_at = self._disk_seen_at, at
        copied = self._last.disk_remaining_mib - seen.disk_remaining_mib
        if before is None or at <= before or copied < 0:
            return
        rate = copied / (at - before)
        weight = trend.ALPHA if self.disk_mib_s else 1.0
        self.disk_mib_s += weight * (rate - self.disk_mib_s)

    def look(
        self, state: states.State, at: float, downtime_limit_ms: float
    ) -> Outlook:
        """Return what is to be expected at *at*.

        :param downtime_limit_ms: how long the switch may take as it is
        """
        self._trend.limit_ms = int(downtime_limit_ms)
        if state in _BEFORE:
            return self._as_predicted()
        if state is states.State.COPYING_STORAGE:
            return self._storage()
        if state is states.State.PRE_COPY:
            return self._pre_copy(at, downtime_limit_ms)
        if state in _SENT_AFTERWARDS:
            return Outlook(_known(self._time_for(self._last.remaining_mib)))
        return Outlook()

    def _as_predicted(self) -> Outlook:
        if self._predicted is None:
            return Outlook()
        return Outlook(
            _known(self._predicted.seconds),
            _known(self._predicted.downtime_ms),
        )

    def _storage(self) -> Outlook:
        """Add the memory, whose turn is to come, to the disks."""
        memory = self._as_predicted()
        if memory.remaining_seconds is None or not self.disk_mib_s:
            return dataclasses.replace(memory, remaining_seconds=None)
        disks = self._last.disk_remaining_mib / self.disk_mib_s
        return dataclasses.replace(
            memory, remaining_seconds=disks + memory.remaining_seconds
        )

    def _pre_copy(self, at: float, limit_ms: float) -> Outlook:
        ends = len(self._trend.boundaries)
        if not ends:
            return self._first_pass()
        fits_ms = max(limit_ms, float(self._options.max_downtime_ms))
        if ends == 1 and self._trend.pause_ms > fits_ms:
            # One pass says how much at least the next one leaves.
            return self._second_pass()
        # The limit is raised, where it has to be, to what is allowed.
        for downtime_ms in (limit_ms, float(self._options.max_downtime_ms)):
            seconds = self._trend.seconds_left(downtime_ms)
            if math.isfinite(seconds):
                break
        else:
            return Outlook()
        left = seconds - (at - self._trend.boundaries[-1].at)
        if left <= 0.0:
            left = self._time_for(self._last.remaining_mib)
        # A pass ends as soon as what is left fits the limit, and all that
        # it left is sent while the guest stands still.
        stop = min(self._trend.pause_ms, downtime_ms) + qemu.SWITCH_MS
        return Outlook(_known(left), _known(stop))

    def _first_pass(self) -> Outlook:
        """Scale the prediction to the bandwidth that there is.

        What the guest dirties shows at the end of the pass only.
        """
        ahead = self._as_predicted()
        if self._predicted is None or not self._trend.bandwidth_mib_s:
            return ahead
        left = self._predicted.mib - self._last.transferred_mib
        return dataclasses.replace(
            ahead,
            remaining_seconds=_known(self._time_for(left))
            if left > 0
            else None,
        )

    def _second_pass(self) -> Outlook:
        """Trust the prediction as far as the first pass bears it out."""
        if self._predicted is None:
            return Outlook()
        first = self._trend.boundaries[0]
        expected = self._predicted.mib - first.carried_mib
        if first.remaining_mib > _REFUTES * expected:
            return Outlook()
        ahead = self._first_pass()
        # what is left is sent in any case
        least = self._time_for(self._last.remaining_mib)
        return dataclasses.replace(
            ahead,
            remaining_seconds=_known(max(ahead.remaining_seconds or 0, least)),
        )

    def _time_for(self, mib: float) -> float:
        if self._trend.bandwidth_mib_s <= 0.0:
            return math.inf
        return mib / self._trend.bandwidth_mib_s


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
