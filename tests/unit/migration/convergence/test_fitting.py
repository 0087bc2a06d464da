"""When a stop that is allowed is taken, and a shorter one waited for."""

import unittest

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import fitting


class _Trend:
    """A stop of 1.5 s now, and one that fits the limit in 8 s."""

    pause_ms = 1500.0
    limit_ms = 0

    def seconds_left(self, _downtime_ms):
        return 9.5


class _Limits:
    def __init__(self, left):
        self._left = left

    def elapsed(self, _at):
        return 20.0

    def left(self, _at):
        return self._left


class DecideTest(unittest.TestCase):
    def test_no_shorter_stop_is_waited_for_beyond_half_of_what_is_left(self):
        for left, expected in (
            (None, contract.CarryOn),
            (100.0, contract.CarryOn),
            (10.0, contract.RaiseDowntime),
        ):
            options = request.Options(max_downtime_ms=2000)
            seen = fitting.Fitting(options, _Trend(), _Limits(left))
            found = seen.decide(0.0, 1e9)
            self.assertIsInstance(found, expected, left)
