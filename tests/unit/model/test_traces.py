"""Traces on a grid: a value holds until the next, and all go round."""

import unittest

import numpy as np

from kvm_balancer.model import traces

DAY = 86_400


def recorded(*readings):
    """Make traces of lists of (second, cores)."""
    flat = [one for trace in readings for one in trace]
    unknown = np.full(len(flat), np.nan)
    return traces.Traces(
        name=tuple(str(n) for n in range(len(readings))),
        offset=np.cumsum([0, *map(len, readings)]),
        second=np.array([second for second, _ in flat], np.float64),
        cpu_usage=np.array([cores for _, cores in flat], np.float64),
        memory_usage_mib=unknown,
        dirty_rate_mib_s=unknown,
    )


def values(grid, seconds, trace=0, shift=0):
    places = (
        grid.at(np.array([trace]), np.array([shift]), one) for one in seconds
    )
    return [float(grid.cpu_usage[place][0]) for place in places]


class GridTest(unittest.TestCase):
    def test_a_value_holds_until_the_next_reading(self):
        grid = traces.lay_out(recorded([(0, 1), (150, 2), (240, 3)]), 60)
        self.assertEqual([1, 1, 1, 2, 3], values(grid, (0, 60, 120, 180, 240)))

    def test_the_last_value_of_a_day_belongs_to_it(self):
        """Half hours of two days, the last of which begins at 23:30."""
        grid = traces.lay_out(
            recorded([(1800 * half, half) for half in range(96)]), 60
        )
        self.assertEqual([2 * 1440], grid.length.tolist())

    def test_a_trace_goes_round_when_it_has_ended(self):
        grid = traces.lay_out(recorded([(0, 1), (60, 2)]), 60)
        self.assertEqual([1, 2, 1, 2], values(grid, (0, 60, 120, 180)))

    def test_days_stay_days(self):
        """A trace of a day and a half goes round after one day."""
        grid = traces.lay_out(
            recorded([(0, 1), (DAY // 2, 5), (1.5 * DAY, 7)]), 3600
        )
        self.assertEqual(
            [1, 5, 1, 5], values(grid, (0, DAY // 2, DAY, 1.5 * DAY))
        )

    def test_traces_begin_when_they_do(self):
        grid = traces.lay_out(
            recorded([(0, 1), (300, 2)], [(120, 5), (180, 6)]), 60
        )
        self.assertEqual([5, 6], values(grid, (120, 180), trace=1))

    def test_a_shift_runs_ahead(self):
        grid = traces.lay_out(recorded([(0, 1), (60, 2), (120, 3)]), 60)
        self.assertEqual([2, 3, 1], values(grid, (0, 60, 120), shift=1))

    def test_peaks_are_known(self):
        grid = traces.lay_out(recorded([(0, 1), (60, 9)], [(0, 2)]), 60)
        self.assertEqual([9, 2], grid.peak.tolist())
