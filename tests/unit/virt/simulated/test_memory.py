import math
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer.migration import request
from kvm_balancer.virt.simulated import habits
from kvm_balancer.virt.simulated import memory

_MIB = strategies.floats(1.0, 1e5)
_RATE = strategies.floats(0.0, 1e4)


def _pass(copy, bandwidth):
    copy.run(copy.seconds_left(bandwidth), bandwidth)
    copy.end_pass()


class CopyTest(unittest.TestCase):
    """What a copy of memory carries, pass by pass."""

    def copy(self, guest, **options):
        return memory.Copy(guest, request.Options(**options))

    @hypothesis.given(_MIB, _RATE, _MIB, strategies.floats(1.0, 1e4))
    def test_what_is_left_never_exceeds_working_set_nor_memory(
        self, used, rate, working, bandwidth
    ):
        guest = memory.Guest(used, used, rate, working)
        copy = self.copy(guest)
        for _ in range(5):
            _pass(copy, bandwidth)
            self.assertLessEqual(copy.left_mib, min(used, working) + 1e-6)
            self.assertGreaterEqual(copy.left_mib, 0.0)

    @hypothesis.given(
        strategies.lists(strategies.floats(0.01, 1.0), min_size=1)
    )
    def test_a_pass_in_pieces_is_the_same_as_in_one(self, pieces):
        guest = memory.Guest(1000.0, 1000.0, 50.0, 400.0)
        whole, cut = self.copy(guest), self.copy(guest)
        seconds = whole.seconds_left(100.0)
        whole.run(seconds, 100.0)
        for piece in pieces:
            cut.run(seconds * piece / sum(pieces), 100.0)
        self.assertAlmostEqual(whole.pending_mib, cut.pending_mib, 3)

    def test_passes_shrink_when_the_guest_writes_slower_than_the_link(self):
        copy = self.copy(memory.Guest(1000.0, 1000.0, 20.0, 1000.0))
        left = []
        for _ in range(4):
            _pass(copy, 100.0)
            left.append(copy.left_mib)
        self.assertEqual(sorted(left, reverse=True), left)
        self.assertLess(left[-1], 5.0)

    def test_a_guest_that_writes_nothing_leaves_nothing(self):
        copy = self.copy(memory.Guest(1000.0, 600.0))
        _pass(copy, 100.0)
        self.assertEqual(0.0, copy.left_mib)
        self.assertEqual(600.0, copy.sent_mib)

    def test_a_frozen_guest_writes_no_more(self):
        copy = self.copy(memory.Guest(1000.0, 1000.0, 500.0, 800.0))
        _pass(copy, 100.0)
        copy.freeze()
        left = copy.left_mib
        copy.run(left / 100.0, 100.0)
        self.assertEqual(0.0, copy.left_mib)
        self.assertAlmostEqual(0.0, copy.pending_mib)

    def test_a_pass_ends_when_what_is_left_of_it_would_fit(self):
        copy = self.copy(memory.Guest(1000.0, 1000.0, 20.0, 1000.0))
        seconds = copy.seconds_left(100.0, 32.0)
        self.assertAlmostEqual(9.7, seconds)
        copy.run(seconds, 100.0)
        self.assertAlmostEqual(30.0, copy.left_mib)

    def test_what_was_dirty_already_is_not_dirtied_once_more(self):
        region = habits.Region(400.0, 4000.0)
        copy = self.copy(memory.Guest(1000.0, 1000.0, regions=(region,)))
        _pass(copy, 100.0)
        copy.run(1.0, 100.0)
        self.assertAlmostEqual(400.0, copy.pending_mib, 0)

    def test_a_quiet_time_leaves_nothing_dirty(self):
        tempo = habits.Tempo(((10.0, 1.0), (10.0, 0.0)), repeats=True)
        copy = self.copy(
            memory.Guest(1000.0, 1000.0, 50.0, 1000.0, tempo=tempo)
        )
        _pass(copy, 100.0)
        self.assertGreater(copy.left_mib, 300.0)
        _pass(copy, 100.0)
        self.assertEqual(0.0, copy.left_mib)

    def test_a_sweep_hits_no_page_twice(self):
        swept = habits.Region(500.0, 0.0, sequential=True)
        self.assertEqual(0.5, swept.dirty_share(250.0))
        self.assertEqual(1.0, swept.dirty_share(2500.0))

    def test_a_sweep_goes_on_past_what_stays_and_hits_fall_on_it(self):
        for sequential, was, expected in (
            (True, 300.0, 300.0),
            # all of it was dirty: who knows where the sweep is
            (True, 500.0, 260.0),
            (False, 300.0, 231.9),
        ):
            region = habits.Region(500.0, 0.0, sequential=sequential)
            found = region.dirty_mib(100.0, 200.0, was)
            self.assertAlmostEqual(expected, found, 1)
            self.assertEqual(100.0, region.dirty_mib(100.0, 0.0, was))

    def test_what_a_pass_leaves_goes_first_in_the_next(self):
        """All but 50 MiB of the hot set was carried by the first pass."""
        region = habits.Region(100.0, 400.0, sequential=True)
        copy = self.copy(memory.Guest(1000.0, 1000.0, regions=(region,)))
        copy.run(9.5, 100.0)
        copy.end_pass()
        self.assertAlmostEqual(145.0, copy.left_mib)
        copy.run(0.5, 100.0)
        copy.end_pass()
        # of what was never written to nothing is left
        self.assertAlmostEqual(100.0, copy.left_mib)

    def test_pages_sent_before_cost_less_with_xbzrle(self):
        guest = memory.Guest(1000.0, 1000.0, 50.0, 1000.0, delta=0.2)
        copy = self.copy(guest, compression='xbzrle')
        _pass(copy, 100.0)
        left, sent = copy.left_mib, copy.sent_mib
        _pass(copy, 100.0)
        self.assertAlmostEqual(0.2 * left, copy.sent_mib - sent)

    def test_without_bandwidth_a_pass_never_ends(self):
        copy = self.copy(memory.Guest(1000.0, 1000.0))
        self.assertEqual(math.inf, copy.seconds_left(0.0))


class ThrottleTest(unittest.TestCase):
    """Auto-converge as QEMU does it: 20 %, then 10 % more, up to 99 %."""

    def steps(self, passes, share, seconds=2.0, **options):
        throttle = memory.Throttle(request.Options(**options))
        found = []
        for _ in range(passes):
            throttle.note(seconds, 100.0, 100.0 * share)
            found.append(throttle.percent)
        return found

    def test_it_rises_every_second_pass_that_leaves_more_than_half(self):
        self.assertEqual([0, 20, 20, 30, 30, 40], self.steps(6, 0.9))

    def test_it_stays_off_where_passes_halve(self):
        self.assertEqual([0] * 6, self.steps(6, 0.5))

    def test_it_stays_off_where_it_was_not_asked_for(self):
        self.assertEqual([0] * 6, self.steps(6, 0.9, auto_converge=False))

    def test_steps_are_those_of_the_request(self):
        self.assertEqual(
            [0, 40, 40, 45],
            self.steps(
                4,
                0.9,
                auto_converge_initial_percent=40,
                auto_converge_increment_percent=5,
            ),
        )

    def test_it_ends_at_99_percent(self):
        self.assertEqual(99, self.steps(40, 1.0)[-1])

    def test_passes_shorter_than_a_second_are_looked_at_together(self):
        self.assertEqual([0, 0, 0, 20], self.steps(4, 0.9, seconds=0.5))
