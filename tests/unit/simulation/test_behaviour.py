"""The agent stays calm: short variants of the simulated figures.

What ``python -m benchmarks.simulation`` measures at full size is held here
at a size that costs seconds.
"""

import unittest

from benchmarks import simulation


class BehaviourTest(unittest.TestCase):
    def check(self, name):
        found = list(simulation.CASES[name](simulation.SHORT))
        self.assertTrue(found)
        for one in found:
            with self.subTest(one.name):
                self.assertTrue(one.reached, one)

    def test_recorded_load_is_balanced_with_few_moves(self):
        """No instance goes to and fro; hosts are soon under the limit."""
        self.check('week')

    def test_noise_moves_nothing(self):
        self.check('noise')

    def test_bursts_of_a_minute_move_nothing(self):
        self.check('burst')

    def test_a_daily_peak_is_met_before_it_comes(self):
        self.check('peak')

    def test_a_step_is_answered_in_time(self):
        self.check('step')

    def test_bad_samples_do_not_make_more_moves(self):
        self.check('samples')

    def test_history_is_small(self):
        self.check('history')
