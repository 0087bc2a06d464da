"""Usage over time: moving averages and the last readings of many things.

Owns rows of numbers; what a row stands for is its owner's. Rows are given
out and taken back by number, and all of them grow together.
"""

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet

#: Readings are kept in half the size: no reading has more digits.
_Readings = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

#: Readings of which the middle one counts for the average.
_MEDIAN_OF = 3
#: No sample is taken more often, whatever its clock says.
_LEAST_SECONDS = 0.01


class Windows:
    """For each row a moving average and the last *length* readings.

    The average is one of medians of three: a single reading that is wrong,
    or a burst that only one has seen, does not show in it.

    :param length: readings that are kept, for the percentile
    :param time_constant_seconds: of the average: after this time, a step
        counts to 63 %
    """

    def __init__(self, length: int, time_constant_seconds: float) -> None:
        self._length = length
        self._time_constant_seconds = time_constant_seconds
        self.average: fleet.Floats = np.zeros(0)
        self.last: fleet.Floats = np.zeros(0)
        #: readings ever taken by each row
        self.count: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._ring: _Readings = np.zeros((0, length), np.float32)
        #: over how long the last reading of each row was taken
        self._seconds: _Readings = np.zeros(0, np.float32)

    def __len__(self) -> int:
        return len(self.average)

    def grow(self, rows: int) -> None:
        """Make room for *rows* rows in all."""
        more = rows - len(self)
        self.average = np.concatenate((self.average, np.zeros(more)))
        self.last = np.concatenate((self.last, np.zeros(more)))
        self.count = np.concatenate((self.count, np.zeros(more, np.int64)))
        empty = np.zeros((more, self._length), np.float32)
        self._ring = np.concatenate((self._ring, empty))
        self._seconds = np.concatenate(
            (self._seconds, np.zeros(more, np.float32))
        )

    def clear(self, rows: Rows) -> None:
        """Forget what *rows* have read."""
        self.average[rows] = 0.0
        self.last[rows] = 0.0
        self.count[rows] = 0

    def add(
        self,
        rows: Rows,
        readings: fleet.Floats,
        seconds: fleet.Floats,
        believed: fleet.Floats | None = None,
    ) -> None:
        """Take one reading for each of *rows*, none of them twice.

        :param seconds: the time over which each was taken
        :param believed: what of them counts for average and percentile; all
            of it by default
        """
        if not len(rows):
            return
        weight = -np.expm1(-seconds / self._time_constant_seconds)
        weight[self.count[rows] == 0] = 1.0
        before = self.average[rows]
        if believed is None:
            believed = readings
        middle = self._middle(rows, believed)
        self.average[rows] = before + weight * (middle - before)
        self.last[rows] = readings
        self._ring[rows, self.count[rows] % self._length] = believed
        self._seconds[rows] = seconds
        self.count[rows] += 1

    def _middle(self, rows: Rows, readings: fleet.Floats) -> fleet.Floats:
        """Return the median of these and the two readings before each.

        One reading that is far off is passed over by it, while a step is
        seen one reading later. Of two, their mean is taken.
        """
        if self._length < _MEDIAN_OF:
            return readings
        count = self.count[rows]
        one = self._ring[rows, (count - 1) % self._length]
        other = self._ring[rows, (count - 2) % self._length]
        low, high = np.minimum(one, other), np.maximum(one, other)
        median = np.clip(readings, low, high)
        few = np.where(count == 1, (readings + one) / 2.0, readings)
        found: fleet.Floats = np.where(count >= 2, median, few)
        return found

    def lasting(self, rows: Rows, seconds: float) -> fleet.Floats:
        """Return what *rows* have read all through the last *seconds*.

        The least of the readings that were taken in them, three at least: a
        burst that is shorter does not show, however high it is, while a step
        shows as a whole once it has lasted so long.

        :returns: shape ``(len(rows),)``; 0 for a row that has not so many
            readings, or does not keep them
        """
        taken = np.maximum(self._seconds[rows], _LEAST_SECONDS)
        wanted = np.maximum(np.ceil(seconds / taken), _MEDIAN_OF)
        count = self.count[rows]
        known = wanted <= np.minimum(count, self._length)
        least = np.where(known, np.inf, 0.0)
        for back in range(1, int(wanted[known].max(initial=0.0)) + 1):
            readings = self._ring[rows, (count - back) % self._length]
            np.minimum(least, readings, out=least, where=wanted >= back)
        return least

    def percentile(self, rows: Rows, percent: float) -> fleet.Floats:
        """Return a percentile of the last readings of *rows*.

        By nearest rank: one of the readings, and of few the highest; 0 for
        a row without any.

        :param percent: 0 to 100
        :returns: shape ``(len(rows),)``
        """
        held = np.minimum(self.count[rows], self._length)
        readings = self._ring[rows]
        # What was never written sorts behind all that was.
        readings[np.arange(self._length) >= held[:, None]] = np.inf
        readings.sort(axis=1)
        rank = np.ceil(held * (percent / 100.0)).astype(np.intp) - 1
        found = readings[np.arange(len(rows)), np.maximum(rank, 0)]
        return np.where(held > 0, found, 0.0).astype(np.float64)
