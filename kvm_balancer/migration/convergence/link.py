"""The bandwidth of one stream as it is seen: smoothed, and where it broke.

A bandwidth that fell to less than half of its peak is a fault of the
network, and says nothing of the guest's memory; one that was lowered on
purpose is neither.
"""

#: Weight of the newest sample of the bandwidth.
ALPHA = 0.4
#: The peak of the bandwidth is forgotten by half in this time, so that a
#: burst at the start is no measure for ever, and a link that stays slow
#: becomes the link there is.
PEAK_HALF_LIFE_SECONDS = 120.0
#: Samples before the peak is taken: the first ones are of a stream that
#: starts.
WARM_UP_SAMPLES = 3


class Link:
    """What a stream got so far.

    :ivar bandwidth_mib_s: smoothed; 0 while nothing was seen
    :ivar collapsed_since: None while the network is sound
    :ivar lost_seconds: what its faults have cost so far
    """

    def __init__(self) -> None:
        self.bandwidth_mib_s = 0.0
        self.collapsed_since: float | None = None
        self.lost_seconds = 0.0
        self._peak_mib_s = 0.0
        self._samples = 0
        self._sampled_at = 0.0

    def sample(self, bandwidth_mib_s: float, at: float) -> None:
        """Take in what the hypervisor measured."""
        aged = max(0.0, at - self._sampled_at) if self._samples else 0.0
        self._samples += 1
        if self._samples == 1:
            self.bandwidth_mib_s = bandwidth_mib_s
        else:
            self.bandwidth_mib_s += ALPHA * (
                bandwidth_mib_s - self.bandwidth_mib_s
            )
        self._peak_mib_s *= 0.5 ** (aged / PEAK_HALF_LIFE_SECONDS)
        self._sampled_at = at
        if self._samples >= WARM_UP_SAMPLES:
            self._peak_mib_s = max(self._peak_mib_s, self.bandwidth_mib_s)
        if self.bandwidth_mib_s >= self._peak_mib_s / 2:
            self.collapsed_since = None
            return
        if self.collapsed_since is None:
            self.collapsed_since = at
        self.lost_seconds += aged * (
            1.0 - min(1.0, bandwidth_mib_s / self._peak_mib_s)
        )

    def limit(self, mib_s: float) -> None:
        """Forget what was carried before another limit was set.

        :param mib_s: 0 for none
        """
        self._samples = 0
        self._peak_mib_s = 0.0
        self.collapsed_since = None
        if 0.0 < mib_s < self.bandwidth_mib_s:
            self.bandwidth_mib_s = mib_s

    def seconds(self, mib: float) -> float:
        """Return how long so much takes; infinite where it is not known."""
        if self.bandwidth_mib_s <= 0.0:
            return float('inf')
        return mib / self.bandwidth_mib_s
