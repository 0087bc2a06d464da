"""A lane does one thing after the other, and nothing waits for what is put
off.
"""

import threading
import unittest

from kvm_balancer.virt import lane

_PATIENCE_SECONDS = 60.0


class LaneTest(unittest.TestCase):
    def setUp(self):
        self.lane = lane.Lane('test')
        self.addCleanup(self.lane.close)
        self.done = []

    def put(self, name, delay_seconds=0.0):
        self.lane.put(lambda: self.done.append(name), delay_seconds)

    def test_what_is_put_is_done_in_that_order_before_it_ends(self):
        for number in range(100):
            self.put(number)
        self.lane.close()
        self.lane.wait(_PATIENCE_SECONDS)
        self.assertEqual(list(range(100)), self.done)

    def test_nothing_waits_for_what_is_put_off(self):
        over = threading.Event()
        self.put('later', 3600.0)
        self.put('now')
        self.lane.put(over.set)
        self.assertTrue(over.wait(_PATIENCE_SECONDS))
        self.assertEqual(['now'], self.done)

    def test_what_is_put_off_is_done_when_it_is_due(self):
        over = threading.Event()
        self.put('first', 0.001)
        self.put('last but one', 0.002)
        self.lane.put(over.set, 0.003)
        self.assertTrue(over.wait(_PATIENCE_SECONDS))
        self.assertEqual(['first', 'last but one'], self.done)

    def test_the_end_waits_for_nothing_that_is_not_due(self):
        held = threading.Event()
        self.lane.put(lambda: held.wait(_PATIENCE_SECONDS))
        self.put('put before')
        self.put('later', 3600.0)
        self.lane.close()
        self.put('put after')
        held.set()
        self.lane.wait(_PATIENCE_SECONDS)
        self.assertEqual(['put before'], self.done)

    def test_nobody_waits_for_a_lane_that_never_had_work(self):
        self.lane.close()
        self.lane.wait(_PATIENCE_SECONDS)
        self.assertEqual([], self.done)
