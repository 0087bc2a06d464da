"""The bandwidth of one stream as it is seen: smoothed, and where it broke.

A bandwidth that fell to less than half of its peak is a fault of the
network, and says nothing of the guest's memory; one that was lowered on
purpose is neither, nor is one that others have come to share. While the fault
lasts the peak stands: what the network cannot carry now is no measure of what
it could. A fault can be put up with, for want of another link, but it is one
until the link is sound again.

Neither is one sample of much: a hypervisor reckons its figure over a tenth of
a second, in which a slow link takes a handful of pieces, one more or less. So
a fall has to show in what was sent between two looks as well; and the peak is
what was sustained, half of the time at least, as no burst is, nor what fills
the buffers of a stream that begins.
"""

import collections
import math
import statistics

#: Weight of the newest sample of the bandwidth.
ALPHA = 0.4
#: The peak of a sound link is forgotten by half in this time, so that a
#: burst at the start is no measure for ever.
PEAK_HALF_LIFE_SECONDS = 120.0
#: The peak is the highest median of so many samples in a row,
PEAK_SAMPLES = 5
#: and of so many at first: it is not lowered by a fault that came with the
#: last of them.
WARM_UP_SAMPLES = 3
#: Less than this share of the peak is a fault,
FAULT_SHARE = 0.5
#: and less than this one is as good as nothing.
BROKEN_SHARE = 0.1


class Link:
    """What a stream got so far.

    :ivar bandwidth_mib_s: smoothed; 0 while nothing was seen
    :ivar collapsed_since: None while the network is sound
    :ivar lost_seconds: what its faults have cost so far, while they were
        waited for
    """

    def __init__(self) -> None:
        self.bandwidth_mib_s = 0.0
        self.collapsed_since: float | None = None
        self.lost_seconds = 0.0
        self._peak_mib_s = 0.0
        self._limit_mib_s = math.inf
        self._streams = 1
        self._lone_mib_s = 0.0
        self._now_mib_s = 0.0
        self._samples = 0
        self._newest_mib_s: collections.deque[float] = collections.deque(
            maxlen=PEAK_SAMPLES
        )
        self._sampled_at = 0.0
        # the next sample is of a link that nothing is known of,
        self._anew = True
        # or partly of the time before its limit was changed
        self._mixed = False
        self._raised = False
        self._put_up_with = False

    def sample(
        self, bandwidth_mib_s: float, at: float, sent_mib_s: float = 0.0
    ) -> None:
        """Take in what was measured; nothing is a measure once it flowed.

        :param sent_mib_s: what went across for a while before it, where that
            is known: without, one sample is enough of a fall
        """
        if bandwidth_mib_s <= 0.0 and not self._samples:
            return
        aged = max(0.0, at - self._sampled_at) if self._samples else 0.0
        self._samples += 1
        self._sampled_at = at
        mixed, self._mixed = self._mixed, False
        weight = 1.0 if self._anew and not mixed else ALPHA
        if not mixed:
            self._anew = self._raised = False
        self.bandwidth_mib_s += weight * (
            bandwidth_mib_s - self.bandwidth_mib_s
        )
        self._now_mib_s = min(
            max(bandwidth_mib_s, sent_mib_s), self.bandwidth_mib_s
        )
        if self._raised:
            # partly of a lower limit: neither a fault nor the end of one
            return
        if self._falls_short:
            if self.collapsed_since is None:
                self.collapsed_since = at
            if not self._put_up_with:
                self.lost_seconds += aged * (
                    1.0 - min(1.0, bandwidth_mib_s / self._due_mib_s)
                )
            return
        if self.collapsed_since is not None:
            # the samples of the fault say nothing of what there is now
            self._heal()
            self.bandwidth_mib_s = bandwidth_mib_s
        self._peak_mib_s *= 0.5 ** (aged / PEAK_HALF_LIFE_SECONDS)
        self._newest_mib_s.append(bandwidth_mib_s)
        if self._samples >= WARM_UP_SAMPLES:
            carried = min(
                statistics.median(self._newest_mib_s), self._limit_mib_s
            )
            self._peak_mib_s = max(self._peak_mib_s, carried)

    @property
    def known(self) -> bool:
        """Something was measured."""
        return self._samples > 0

    @property
    def _due_mib_s(self) -> float:
        """What it could carry, and may, and others leave to it."""
        due = min(self._peak_mib_s, self._limit_mib_s)
        if self._streams == 1:
            return due
        # Who never had it alone may have seen no more than a part of it.
        lone = self._lone_mib_s or self._peak_mib_s
        return min(due, lone / self._streams)

    @property
    def _falls_short(self) -> bool:
        return self._now_mib_s < FAULT_SHARE * self._due_mib_s

    @property
    def broken(self) -> bool:
        """Next to nothing goes across; a slow stream comes in lumps."""
        return self.bandwidth_mib_s < BROKEN_SHARE * self._due_mib_s

    @property
    def unsure(self) -> bool:
        """It may carry more now; how much is yet to be seen."""
        return self._raised

    @property
    def carries(self) -> bool:
        """It is as slow as it is taken for, and not broken."""
        slower = self._now_mib_s < FAULT_SHARE * self.bandwidth_mib_s
        return not self.broken and not slower

    def wait(self, at: float) -> None:
        """Take note that it waits for the memory: that is no fault of it.

        Nor does it mend one: the fault is waited for from here on.
        """
        self._sampled_at = at
        if self.collapsed_since is not None:
            self.collapsed_since = at

    def put_up_with(self) -> None:
        """Go on over the link that there is, though it stays slow.

        What it costs from here on is no loss any more. It remains a fault.
        """
        self._put_up_with = True

    def _heal(self) -> None:
        self.collapsed_since = None
        self._put_up_with = False

    def limit(self, mib_s: float) -> None:
        """Take note that the stream may carry so much from now on.

        A lower limit is no fault: less is expected while it lasts. A higher
        one mends none: what the link carried it could carry.

        :param mib_s: 0 for no limit
        """
        before = self._limit_mib_s
        self._limit_mib_s = mib_s if mib_s > 0.0 else math.inf
        self._mixed = self.known
        self._raised = self.known and self._limit_mib_s > before
        self.bandwidth_mib_s = min(self.bandwidth_mib_s, self._limit_mib_s)
        self._now_mib_s = min(self._now_mib_s, self._limit_mib_s)
        if self.collapsed_since is None or not self._falls_short:
            self._heal()
            self._anew = True

    def share(self, streams: int) -> None:
        """Take note that so many streams share it from now on.

        No more than a fair part of it is due to each, whatever limit it has:
        what the link carries may be stated too high. Where others leave, more
        is due once it is seen.

        :param streams: this one among them
        """
        before, due = self._streams, self._due_mib_s
        self._streams = max(1, streams)
        if self._streams < before:
            self._peak_mib_s = min(self._peak_mib_s, due)
        elif before == 1:
            self._lone_mib_s = self._peak_mib_s
        if self.collapsed_since is not None and not self._falls_short:
            self._heal()

    def seconds(self, mib: float) -> float:
        """Return how long so much takes; infinite where it is not known."""
        if self.bandwidth_mib_s <= 0.0:
            return math.inf
        return mib / self.bandwidth_mib_s

    def best_seconds(self, mib: float) -> float:
        """Return how long so much takes when it is as good as it was."""
        best = max(self.bandwidth_mib_s, self._due_mib_s)
        return mib / best if best > 0.0 else math.inf
