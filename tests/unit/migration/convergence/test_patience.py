"""How much time is granted where a request sets no limit."""

import unittest

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import patience


class GrantedTest(unittest.TestCase):
    def test_the_throttle_is_given_the_time_that_its_steps_take(self):
        for options, seconds in (
            ({'auto_converge': False}, 0.0),
            ({'max_throttle_percent': 0}, 0.0),
            # one step, of two looks of two seconds at the most
            ({'max_throttle_percent': 20}, 4.0),
            ({'max_throttle_percent': 30}, 8.0),
            # 20, 30 and so on to 99
            ({'max_throttle_percent': 99}, 36.0),
            ({'auto_converge_initial_percent': 90}, 8.0),
            ({'auto_converge_increment_percent': 79}, 8.0),
        ):
            options.setdefault('max_throttle_percent', 99)
            found = patience.least_seconds(request.Options(**options))
            self.assertEqual(seconds, found, options)

    def test_short_passes_have_that_time_and_long_ones_their_profile(self):
        options = request.Options(max_throttle_percent=99)
        self.assertAlmostEqual(36.4, patience.granted_seconds(options, 0.2))
        self.assertEqual(160.0, patience.granted_seconds(options, 10.0))
