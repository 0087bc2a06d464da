"""Windows of usage: the average and the percentile of the last readings."""

import math
import unittest

import hypothesis
from hypothesis import strategies
import numpy as np

from kvm_balancer.model import windows

ONE = np.array([1])
READINGS = strategies.lists(
    strategies.floats(0, 1000, width=32), min_size=1, max_size=20
)


def fed(values, length=5):
    """Return windows of two rows, of which the second got *values*."""
    made = windows.Windows(length, 60.0)
    made.grow(2)
    for value in values:
        made.add(np.array([1]), np.array([value]), np.array([10.0]))
    return made


class TestWindows(unittest.TestCase):
    """What a row tells of its readings."""

    @hypothesis.given(READINGS, strategies.floats(0, 100))
    def test_a_percentile_is_the_nearest_rank_of_the_last_readings(
        self, values, percent
    ):
        """As the textbook has it, over at most as many as are kept."""
        kept = sorted(values[-5:])
        rank = max(1, math.ceil(len(kept) * (percent / 100.0)))
        found = fed(values).percentile(np.array([0, 1]), percent)
        self.assertEqual([0.0, kept[rank - 1]], found.tolist())

    @hypothesis.given(READINGS)
    def test_an_average_stays_between_the_lowest_and_the_highest(self, values):
        """And starts at the first reading."""
        found = fed(values).average[1]
        self.assertLessEqual(min(values) - 1e-9, found)
        self.assertGreaterEqual(max(values) + 1e-9, found)
        self.assertEqual(values[0], fed(values[:1]).average[1])

    def test_a_step_counts_to_63_percent_after_the_time_constant(self):
        """However the time is cut into readings."""
        for pieces in (1, 6, 60):
            # A step is seen from its second reading on.
            made = fed([0.0, 0.0])
            made.add(np.array([1]), np.array([1.0]), np.array([0.0]))
            for _ in range(pieces):
                made.add(
                    np.array([1]), np.array([1.0]), np.array([60.0 / pieces])
                )
            self.assertAlmostEqual(1 - math.exp(-1), made.average[1])

    def test_a_single_reading_that_is_far_off_is_passed_over(self):
        """Two in a row are believed."""
        for wrong, seen in (([9.0], False), ([9.0, 9.0], True)):
            with self.subTest(wrong=wrong):
                made = fed([1.0, 1.0, *wrong, 1.0, 1.0])
                self.assertEqual(seen, made.average[1] > 1.0)

    @hypothesis.given(
        strategies.integers(1, 30),
        strategies.integers(0, 59),
        strategies.floats(1.0, 60.0),
    )
    def test_a_burst_shorter_than_what_lasts_does_not_show(
        self, every, begins, burst
    ):
        """However it falls between two readings, which are means."""
        made = windows.Windows(120, 60.0)
        made.grow(1)
        row, first = np.array([0]), 300.0 + begins
        for number in range(1, 600 // every):
            until = number * every
            inside = min(until, first + burst) - max(until - every, first)
            mean = 1.0 + 8.0 * max(0.0, inside) / every
            made.add(row, np.array([mean]), np.array([float(every)]))
            # two readings are only partly of the burst
            found = float(made.lasting(row, 60.0 + 2.0 * every)[0])
            self.assertLessEqual(found, 1.0 + 1e-6)

    def test_a_step_shows_as_a_whole_once_it_has_lasted(self):
        """Of readings of ten seconds the least of six, for a minute."""
        for since, found in ((5, 1.0), (6, 9.0), (7, 9.0)):
            with self.subTest(since=since):
                made = fed([1.0] * 10 + [9.0] * since, length=8)
                self.assertEqual([found], made.lasting(ONE, 60.0).tolist())

    def test_what_is_not_known_has_not_lasted(self):
        """Too few readings, and more than are kept, are not known."""
        for values, seconds, found in (
            ([], 60.0, 0.0),
            ([9.0] * 5, 60.0, 0.0),
            ([9.0] * 6, 60.0, 9.0),
            ([9.0] * 20, 90.0, 0.0),
            ([9.0] * 2, 10.0, 0.0),
            ([9.0] * 3, 10.0, 9.0),
        ):
            with self.subTest(values=values, seconds=seconds):
                made = fed(values, length=8)
                self.assertEqual([found], made.lasting(ONE, seconds).tolist())

    def test_a_cleared_row_knows_nothing(self):
        """Nor does what comes next remember."""
        made = fed([5.0, 6.0])
        made.clear(np.array([1]))
        self.assertEqual([0.0], made.percentile(np.array([1]), 90).tolist())
        made.add(np.array([1]), np.array([2.0]), np.array([10.0]))
        self.assertEqual(2.0, made.average[1])
        self.assertEqual([2.0], made.percentile(np.array([1]), 0).tolist())
