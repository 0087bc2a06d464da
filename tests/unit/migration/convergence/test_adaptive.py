import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import boundary
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.convergence import throttle
from tests.unit.migration import memory
from tests.unit.migration import streams

PLAIN = request.Options(auto_converge=False)


@st.composite
def guests(draw):
    size = draw(st.floats(64, 65536))
    bandwidth = draw(st.floats(10, 2000))
    return memory.Guest(
        memory_mib=size,
        bandwidth_mib_s=bandwidth,
        dirty_mib_s=bandwidth * draw(st.floats(0.0, 4.0)),
        working_mib=size * draw(st.floats(0.01, 1.0)),
        random=draw(st.booleans()),
    )


@st.composite
def options(draw):
    return request.Options(
        auto_converge=draw(st.booleans()),
        max_throttle_percent=draw(st.integers(0, 99)),
        max_downtime_ms=draw(st.integers(20, 3000)),
        profile=draw(st.sampled_from(request.Profile)),
    )


def budget_seconds(guest, wanted):
    profile = patience.PATIENCE[wanted.profile]
    return profile.budget * guest.memory_mib / guest.bandwidth_mib_s


class TestEveryRun(unittest.TestCase):
    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(guests(), options())
    def test_who_would_converge_is_not_given_up(self, guest, wanted):
        settled = throttle.settle(wanted)
        # Not on the very edge of QEMU's next step, which a throttle that
        # may not rise keeps away from by throttle.SPENT_SHARE.
        busier = dataclasses.replace(
            guest, dirty_mib_s=guest.dirty_mib_s * 1.03
        )
        seconds = budget_seconds(guest, wanted) * 0.9
        for one in (guest, busier):
            hypothesis.assume(memory.would_converge(one, settled, seconds))
        run = memory.migrate(guest, adaptive.Adaptive(), wanted)
        self.assertEqual('switched', run.end, run)

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(guests(), options(), st.floats(1.0, 600.0))
    def test_a_limit_in_time_is_used_to_its_end(self, guest, wanted, limit):
        wanted = dataclasses.replace(wanted, time_limit_seconds=limit)
        settled = throttle.settle(wanted)
        run = memory.migrate(guest, adaptive.Adaptive(), wanted)
        if memory.would_converge(guest, settled, limit * 0.999):
            self.assertEqual('switched', run.end, run)

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(guests(), options())
    def test_every_copy_ends_within_its_limits(self, guest, wanted):
        run = memory.migrate(guest, adaptive.Adaptive(), wanted)
        self.assertLessEqual(run.limit_ms, wanted.max_downtime_ms)
        if run.end == 'switched':
            self.assertLessEqual(run.pause_ms, wanted.max_downtime_ms + 1)
        else:
            self.assertTrue(run.reason)

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(guests(), options())
    def test_with_post_copy_no_copy_takes_long(self, guest, wanted):
        wanted = dataclasses.replace(wanted, post_copy=True)
        run = memory.migrate(guest, adaptive.Adaptive(), wanted)
        self.assertIn(run.end, ('switched', 'post-copy'))
        full = guest.memory_mib / guest.bandwidth_mib_s
        # two passes, and what patience and one more pass add to them
        self.assertLessEqual(run.seconds, 6 * full + 3.1)


class TestLadder(unittest.TestCase):
    """Guests of 1 GiB over 100 MiB/s: a pass takes about ten seconds."""

    def run_guest(self, ratio, working=1024.0, **wanted):
        wanted.setdefault('auto_converge', False)
        guest = memory.Guest(1024.0, 100.0, 100.0 * ratio, working)
        return memory.migrate(
            guest, adaptive.Adaptive(), request.Options(**wanted)
        )

    def test_post_copy_comes_with_the_end_of_the_first_pass(self):
        for ratio in (0.9, 1.0, 1.5, 4.0):
            run = self.run_guest(ratio, post_copy=True)
            self.assertEqual(('post-copy', 1), (run.end, run.passes), ratio)

    def test_pages_of_zeros_are_no_memory_to_send(self):
        """A guest of 4 GiB that uses 200 MiB of it, all of them hot."""
        policy = adaptive.Adaptive()
        policy.begin(
            request.Options(auto_converge=False, post_copy=True), None, 0.0
        )
        first = events.Statistics(
            remaining_mib=4096.0, bandwidth_mib_s=100.0, iteration=1
        )
        policy.judge(first, 0.1, False)
        decision = policy.judge(
            events.Statistics(
                remaining_mib=200.0,
                transferred_mib=200.0,
                bandwidth_mib_s=100.0,
                iteration=2,
            ),
            2.1,
            True,
        )
        self.assertIsInstance(decision, contract.StartPostCopy)

    def test_a_small_hot_set_is_known_after_its_second_pass(self):
        run = self.run_guest(2.0, working=200.0, post_copy=True)
        self.assertEqual('post-copy', run.end)
        self.assertLessEqual(run.passes, 6)
        self.assertLess(run.seconds, 2.2 * 12.2)

    def test_a_guest_that_converges_soon_needs_no_post_copy(self):
        for ratio in (0.0, 0.05, 0.1, 0.2):
            run = self.run_guest(ratio, post_copy=True)
            self.assertEqual('switched', run.end, ratio)

    def test_without_post_copy_it_is_given_up_and_says_why(self):
        run = self.run_guest(2.0)
        self.assertEqual('given up', run.end)
        self.assertIn('post-copy is not allowed', run.reason)
        self.assertIn('500 ms allowed', run.reason)

    def test_a_drain_tries_for_longer(self):
        balance = self.run_guest(0.95)
        drain = self.run_guest(0.95, profile=request.Profile.DRAIN)
        self.assertEqual('given up', balance.end)
        self.assertEqual('switched', drain.end)

    def test_the_throttle_gets_its_time(self):
        run = self.run_guest(2.0, auto_converge=True)
        self.assertEqual('switched', run.end)
        self.assertGreater(run.throttle_percent, 20)

    def test_a_throttle_that_is_spent_is_the_end_of_its_rung(self):
        for allowed in (10, 20, 25, 30, 45):
            for post_copy, end in ((False, 'given up'), (True, 'post-copy')):
                run = self.run_guest(
                    4.0,
                    auto_converge=True,
                    max_throttle_percent=allowed,
                    post_copy=post_copy,
                )
                self.assertEqual(end, run.end, run)
                self.assertLessEqual(run.throttle_percent, allowed, run)

    def test_the_downtime_rises_only_as_far_as_needed(self):
        run = self.run_guest(3.0, working=80.0, max_downtime_ms=5000)
        self.assertEqual('switched', run.end)
        self.assertLess(run.limit_ms, 1000)

    def test_at_the_time_limit_it_switches_or_is_given_up(self):
        table = (
            ({'post_copy': True}, 0.85, 'post-copy'),
            ({}, 0.99, 'given up'),
        )
        for wanted, ratio, end in table:
            run = self.run_guest(ratio, time_limit_seconds=25.0, **wanted)
            self.assertEqual(end, run.end, wanted)
            self.assertLess(run.seconds, 60.0)

    def test_the_downtime_rises_where_a_shorter_one_comes_too_late(self):
        """Two guests that a stop of 300 ms takes too long for."""
        for ratio, working, seconds, allowed in (
            (0.8, 300.0, 14.0, 2000),
            (0.85, 400.0, 30.0, 1000),
        ):
            run = self.run_guest(
                ratio,
                working,
                time_limit_seconds=seconds,
                max_downtime_ms=allowed,
            )
            self.assertEqual(('switched', allowed), (run.end, run.limit_ms))


class TestRefused(unittest.TestCase):
    def test_what_was_refused_is_not_asked_again(self):
        policy = adaptive.Adaptive()
        policy.begin(
            request.Options(auto_converge=False, post_copy=True), None, 0.0
        )
        policy.post_copy_refused('no userfaultfd')
        stream, seen = streams.Stream(), []
        for number in range(12):
            look = stream.look(
                10.0 * number,
                100.0,
                iteration=number + 1,
                remaining_mib=1000.0,
            )
            seen.append(policy.judge(look, 10.0 * number, True))
        self.assertNotIn(
            contract.StartPostCopy, [type(decision) for decision in seen]
        )
        self.assertIsInstance(seen[-1], contract.GiveUp)


class TestThrottle(unittest.TestCase):
    def end_passes(self, share, late_seconds):
        """Show passes at the throttle that is allowed, of 2 s each."""
        watch = throttle.Watch(
            throttle.settle(request.Options(max_throttle_percent=80))
        )
        for number in range(1, 4):
            watch.take(
                boundary.Boundary(
                    at=2.0 * number,
                    passes=number,
                    remaining_mib=100.0,
                    throttle_percent=80,
                    sent_mib=200.0 * number,
                    carried_mib=200.0,
                    written_seconds=0.4,
                    dirtied_mib=200.0 * share,
                    late_seconds=late_seconds,
                )
            )
        return watch.spent(2.0)

    def test_it_is_spent_by_as_much_as_qemu_would_raise_it_for(self):
        for share, late_seconds, spent in (
            (0.51, 0.0, True),
            (0.495, 0.0, False),
            # what was sent meanwhile may hide as much
            (0.495, 0.1, True),
            (0.48, 0.1, False),
        ):
            with self.subTest(share=share, late=late_seconds):
                self.assertEqual(spent, self.end_passes(share, late_seconds))

    def test_its_steps_end_on_what_is_allowed(self):
        table = (
            # allowed, asked first, asked step -> on, first, step
            (99, 0, 0, True, 20, 10),
            (0, 0, 0, False, 0, 0),
            (15, 0, 0, True, 15, 10),
            (45, 0, 0, True, 20, 8),
            (50, 0, 0, True, 20, 10),
            (60, 40, 50, True, 40, 20),
        )
        for allowed, first, step, *wanted in table:
            settled = throttle.settle(
                request.Options(
                    max_throttle_percent=allowed,
                    auto_converge_initial_percent=first,
                    auto_converge_increment_percent=step,
                )
            )
            self.assertEqual(
                wanted,
                [
                    settled.auto_converge,
                    settled.auto_converge_initial_percent,
                    settled.auto_converge_increment_percent,
                ],
            )
