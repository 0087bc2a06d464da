import math
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration.foresight import hot_set

_WINDOWS = (1.0, 4.0, 16.0)


def measured(curve, windows=_WINDOWS):
    return [hot_set.Dirtied(seconds, curve(seconds)) for seconds in windows]


def explained(found, seconds):
    """What the model says of the window of a fit, far from full memory."""
    rate = found.dirty_rate_mib_s - found.cold_rate_mib_s
    swept = min(found.hot_set_mib, rate * seconds)
    return swept + found.cold_rate_mib_s * seconds


class TestFit(unittest.TestCase):
    def test_a_swept_hot_set_and_a_cold_rate_are_found(self):
        table = (
            # hot set, its rate, cold rate
            (100.0, 50.0, 0.0),
            (100.0, 50.0, 4.0),
            (1000.0, 90.0, 0.0),
            (30.0, 60.0, 1.0),
            (500.0, 200.0, 10.0),
        )
        for hot, rate, cold in table:
            found = hot_set.fit(
                measured(
                    lambda t, hot=hot, rate=rate, cold=cold: (
                        min(hot, rate * t) + cold * t
                    )
                ),
                1e6,
            )
            self.assertAlmostEqual(1.0, found.hot_set_mib / hot, delta=0.1)
            self.assertAlmostEqual(
                1.0, found.dirty_rate_mib_s / (rate + cold), delta=0.1
            )
            self.assertAlmostEqual(
                cold, found.cold_rate_mib_s, delta=0.02 * rate
            )

    def test_where_no_knee_shows_all_memory_is_hot(self):
        found = hot_set.fit(measured(lambda t: 10.0 * t), 4096.0)
        self.assertAlmostEqual(10.0, found.dirty_rate_mib_s, delta=0.01)
        self.assertEqual(4096.0, found.hot_set_mib)
        self.assertEqual(0.0, found.cold_rate_mib_s)

    def test_one_window_tells_a_rate(self):
        found = hot_set.fit(measured(lambda t: 20.0, (1.0,)), 4096.0)
        self.assertAlmostEqual(20.0, found.dirty_rate_mib_s)

    def test_nothing_dirty_is_nothing_written(self):
        found = hot_set.fit(measured(lambda t: 0.0), 4096.0)
        self.assertEqual(hot_set.HotSet(0.0, 0.0, 0.0), found)

    def test_nothing_measured_is_no_answer(self):
        self.assertRaises(ValueError, hot_set.fit, [], 4096.0)

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(st.floats(20, 5000), st.floats(0.01, 4.0))
    def test_writes_at_random_are_explained_where_they_were_measured(
        self, size, turns
    ):
        def curve(seconds):
            return -size * math.expm1(-turns * seconds)

        found = hot_set.fit(measured(curve), 1e6)
        for seconds in _WINDOWS:
            # One page stands for 2 MiB: nothing is known better than that.
            self.assertAlmostEqual(
                curve(seconds),
                explained(found, seconds),
                delta=0.15 * curve(seconds) + 2.0,
            )

    def test_a_short_window_that_met_nothing_does_not_outweigh_a_long_one(
        self,
    ):
        """As of a guest that writes 6 MiB/s, of which few pages are seen."""
        found = hot_set.fit(
            [hot_set.Dirtied(1, 0.0), hot_set.Dirtied(4, 26.0)], 376.0
        )
        self.assertGreater(found.dirty_rate_mib_s, 3.0)

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(
        st.lists(
            st.tuples(st.floats(0.5, 60), st.floats(0, 1e5)),
            min_size=1,
            max_size=6,
        ),
        st.floats(1, 1e5),
    )
    def test_any_measurement_makes_a_possible_guest(self, windows, memory):
        found = hot_set.fit(
            [hot_set.Dirtied(*window) for window in windows], memory
        )
        self.assertLessEqual(0.0, found.cold_rate_mib_s)
        self.assertLessEqual(found.hot_set_mib, memory)
        self.assertLess(found.dirty_rate_mib_s, math.inf)
        self.assertGreaterEqual(found.dirty_rate_mib_s, 0.0)
