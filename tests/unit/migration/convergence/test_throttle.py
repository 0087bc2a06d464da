"""The throttle reaches what is allowed: QEMU's own highest is no exception."""

import math
import unittest

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import boundary
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import throttle
from tests.unit.migration import memory
from tests.unit.migration import streams

_PASS_SECONDS = 10.0


def watch(allowed, *percents, dirtied_mib=90.0, step=0):
    """Return what was seen of passes of 100 MiB, at these throttles."""
    options = request.Options(
        max_throttle_percent=allowed, auto_converge_increment_percent=step
    )
    found = throttle.Watch(throttle.settle(options))
    for number, percent in enumerate(percents, 1):
        found.take(
            boundary.Boundary(
                at=number * _PASS_SECONDS,
                passes=number,
                remaining_mib=100.0,
                throttle_percent=percent,
                sent_mib=number * 100.0,
                carried_mib=100.0,
                written_seconds=_PASS_SECONDS,
                dirtied_mib=dirtied_mib,
                late_seconds=0.0,
            )
        )
    return found


class InVainTest(unittest.TestCase):
    def test_what_is_allowed_was_tried_for_two_passes(self):
        table = (
            # allowed, step, the throttle of each pass, in vain
            (99, 0, (0, 20, 20, 20, 20), False),
            (99, 0, (80, 90, 90, 90, 90), False),
            (99, 0, (90, 99), False),
            (99, 0, (90, 99, 99), False),
            (99, 0, (90, 99, 99, 99), True),
            (99, 40, (20, 60, 60, 60, 60), False),
            (99, 40, (60, 99, 99, 99), True),
            (98, 0, (90, 98, 98, 98), True),
            (50, 0, (40, 50, 50), False),
            (50, 0, (40, 50, 50, 50), True),
            (50, 0, (30, 40, 40, 40), False),
            (0, 0, (0, 0, 0, 0), False),
        )
        for allowed, step, percents, in_vain in table:
            with self.subTest(allowed=allowed, step=step, percents=percents):
                seen = watch(allowed, *percents, step=step)
                self.assertEqual(
                    in_vain, seen.in_vain(_PASS_SECONDS, math.inf, 600.0)
                )

    def test_at_the_highest_it_has_all_the_time_that_is_granted(self):
        table = (
            # dirtied in a pass of 100 MiB, seconds left, granted, in vain
            (90.0, math.inf, 600.0, True),
            (90.0, 800.0, 600.0, True),
            (90.0, 700.0, 600.0, False),
            (90.0, 100.0, 600.0, False),
            (90.0, 100.0, -1.0, True),
            (40.0, math.inf, 600.0, False),
        )
        for dirtied, left, granted, in_vain in table:
            with self.subTest(dirtied=dirtied, left=left, granted=granted):
                seen = watch(99, 90, 99, 99, 99, dirtied_mib=dirtied)
                self.assertEqual(
                    in_vain, seen.in_vain(_PASS_SECONDS, left, granted)
                )

    def test_below_the_highest_it_has_until_the_next_step(self):
        seen = watch(50, 40, 50, 50, 50)
        self.assertTrue(seen.in_vain(_PASS_SECONDS, 100.0, 1e9))

    def test_the_highest_is_never_exceeded(self):
        """Nothing has to be ended before it."""
        for allowed, spent in ((99, False), (50, True)):
            with self.subTest(allowed=allowed):
                seen = watch(allowed, *(allowed,) * 6)
                self.assertEqual(spent, seen.spent(_PASS_SECONDS))


class UnevenLinkTest(unittest.TestCase):
    """A stop of 40 MiB is left, at a throttle that may not rise."""

    def end_passes(self, before_mib_s, post_copy=False):
        """Show short passes over a link that carries 70 MiB/s by now."""
        policy, stream = adaptive.Adaptive(), streams.Stream()
        policy.begin(
            request.Options(max_throttle_percent=30, post_copy=post_copy),
            None,
            0.0,
        )
        for number in range(1, 21):
            look = stream.look(0.5 * number, before_mib_s)
            policy.judge(look, stream.at, False)
        passes = 0
        while True:
            passes += 1
            look = stream.look(
                stream.at + 0.1,
                70.0,
                iteration=1 + passes,
                remaining_mib=40.0,
                throttle_percent=30,
            )
            decision = policy.judge(look, stream.at, True)
            if isinstance(decision, contract.GiveUp | contract.StartPostCopy):
                return type(decision), passes

    def test_what_fitted_it_lately_is_waited_for_as_long_as_it_may_be(self):
        _, even = self.end_passes(70.0)
        end, uneven = self.end_passes(100.0)
        self.assertIs(contract.GiveUp, end)
        self.assertGreater(uneven, even)
        # as long as QEMU takes for another step at least, but not longer
        self.assertGreaterEqual(uneven * 0.1, qemu.THROTTLE_LOOKS)
        self.assertLess(uneven * 0.1, 2.0 * qemu.THROTTLE_LOOKS)

    def test_post_copy_is_not_put_off_for_that(self):
        self.assertEqual(
            self.end_passes(70.0, True), self.end_passes(100.0, True)
        )


class NextRungTest(unittest.TestCase):
    """A guest that does not converge even at the highest throttle."""

    def test_it_is_taken_at_once(self):
        for post_copy, end in ((False, 'given up'), (True, 'post-copy')):
            for profile in request.Profile:
                with self.subTest(post_copy=post_copy, profile=profile):
                    guest = memory.Guest(1024.0, 100.0, 30000.0, 1024.0)
                    options = request.Options(
                        post_copy=post_copy,
                        post_copy_patience=1000.0,
                        profile=profile,
                        auto_converge_initial_percent=90,
                    )
                    ran = memory.migrate(guest, adaptive.Adaptive(), options)
                    self.assertEqual(
                        (end, 99), (ran.end, ran.throttle_percent)
                    )
                    # to 90 %, to 99 %, what that leaves, and what that did
                    self.assertLessEqual(ran.passes, 2 + 2 + 3, ran)
                    self.assertIn('throttle of 99 %', ran.reason)
