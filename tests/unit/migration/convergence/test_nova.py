import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import nova
from tests.unit.migration import memory

SHORT = nova.Params(step_seconds=2.0, timeout_seconds=20.0)
FORCED = dataclasses.replace(SHORT, timeout_action=nova.FORCE_COMPLETE)


@st.composite
def guests(draw):
    size = draw(st.floats(64, 8192))
    bandwidth = draw(st.floats(50, 1000))
    return memory.Guest(
        memory_mib=size,
        bandwidth_mib_s=bandwidth,
        dirty_mib_s=bandwidth * draw(st.floats(0.0, 4.0)),
        working_mib=size * draw(st.floats(0.2, 1.0)),
        random=draw(st.booleans()),
    )


@st.composite
def options(draw):
    return request.Options(
        auto_converge=draw(st.booleans()),
        max_throttle_percent=draw(st.sampled_from((0, 50, 99))),
        max_downtime_ms=draw(st.integers(200, 3000)),
        post_copy=draw(st.booleans()),
    )


class TestEveryRun(unittest.TestCase):
    @hypothesis.settings(max_examples=150)
    @hypothesis.given(guests(), options(), st.sampled_from((SHORT, FORCED)))
    def test_every_copy_ends_within_its_limits(self, guest, wanted, params):
        run = memory.migrate(guest, nova.Nova(params), wanted)
        self.assertLessEqual(run.limit_ms, wanted.max_downtime_ms)
        if run.end == 'switched':
            self.assertLessEqual(run.pause_ms, wanted.max_downtime_ms + 1)
        else:
            self.assertIn('timeout', run.reason)
        if run.end == 'post-copy':
            self.assertTrue(wanted.post_copy)
        self.assertLessEqual(run.throttle_percent, wanted.max_throttle_percent)

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(guests(), options())
    def test_with_post_copy_a_forced_copy_always_arrives(self, guest, wanted):
        wanted = dataclasses.replace(wanted, post_copy=True)
        run = memory.migrate(guest, nova.Nova(FORCED), wanted)
        self.assertIn(run.end, ('switched', 'post-copy'))


class TestSteps(unittest.TestCase):
    def begun(self, params=None, **wanted):
        policy = nova.Nova(params)
        settings = policy.begin(request.Options(**wanted), None, 0.0)
        return policy, settings

    def seen(self, policy, at, boundary=False, **figures):
        figures.setdefault('total_mib', 1024.0)
        statistics = events.Statistics(remaining_mib=900.0, **figures)
        return policy.judge(statistics, at, boundary)

    def test_the_downtime_rises_as_nova_s(self):
        """500 ms in 10 steps of 75 s for each GiB, and 2 GiB at least."""
        policy, settings = self.begun()
        self.assertEqual(50, settings.downtime_ms)
        for at, total_mib, expected in (
            (0.0, 1024.0, None),
            (149.0, 1024.0, None),
            (150.0, 1024.0, 95),
            (300.0, 1024.0, 140),
            (1500.0, 1024.0, 500),
            (1599.0, 1024.0, None),
        ):
            decision = self.seen(policy, at, total_mib=total_mib)
            limit = getattr(decision, 'downtime_ms', None)
            self.assertEqual(expected, limit, at)

    def test_larger_instances_get_longer_steps(self):
        policy, _ = self.begun()
        disks = {'total_mib': 4096.0, 'disk_total_mib': 1024.0}
        self.assertIsInstance(
            self.seen(policy, 75.0 * 6 - 1, **disks), contract.CarryOn
        )
        self.assertIsInstance(
            self.seen(policy, 75.0 * 6, **disks), contract.RaiseDowntime
        )

    def test_what_is_done_at_the_timeout(self):
        force = nova.Params(timeout_action=nova.FORCE_COMPLETE)
        for params, post_copy, expected in (
            (None, False, contract.GiveUp),
            (None, True, contract.GiveUp),
            (force, True, contract.StartPostCopy),
            (force, False, contract.RaiseDowntime),
        ):
            policy, _ = self.begun(params, post_copy=post_copy)
            before = self.seen(policy, 1599.0)
            self.assertNotIn('timeout', before.reason)
            policy, _ = self.begun(params, post_copy=post_copy)
            decision = self.seen(policy, 1600.0)
            self.assertIsInstance(decision, expected)
            self.assertIn('timeout of 1600 s', decision.reason)

    def test_a_forced_stop_never_exceeds_what_is_allowed(self):
        policy, _ = self.begun(nova.Params(timeout_action=nova.FORCE_COMPLETE))
        self.assertEqual(500, self.seen(policy, 1600.0).downtime_ms)
        self.assertIsInstance(self.seen(policy, 1600.1), contract.CarryOn)
        decision = self.seen(policy, 1605.0, boundary=True)
        self.assertIsInstance(decision, contract.GiveUp)
        self.assertIn('500 ms allowed', decision.reason)

    def test_a_forced_stop_is_not_waited_for_for_ever(self):
        policy, _ = self.begun(nova.Params(timeout_action=nova.FORCE_COMPLETE))
        self.seen(policy, 1600.0)
        self.assertIsInstance(self.seen(policy, 1661.0), contract.GiveUp)

    def test_refused_post_copy_is_not_asked_again(self):
        policy, _ = self.begun(
            nova.Params(timeout_action=nova.FORCE_COMPLETE), post_copy=True
        )
        policy.post_copy_refused('no userfaultfd')
        self.assertIsInstance(
            self.seen(policy, 1600.0), contract.RaiseDowntime
        )

    def test_a_limit_in_time_takes_the_place_of_the_timeout(self):
        policy, _ = self.begun(time_limit_seconds=30.0)
        self.assertIsInstance(self.seen(policy, 30.0), contract.GiveUp)

    def test_the_throttle_is_used_only_where_nothing_limits_it(self):
        for wanted, expected in (
            ({}, True),
            ({'post_copy': True}, False),
            ({'max_throttle_percent': 98}, False),
            ({'auto_converge': False}, False),
        ):
            _, settings = self.begun(**wanted)
            self.assertEqual(expected, settings.options.auto_converge, wanted)

    def test_an_action_that_is_none_is_refused(self):
        with self.assertRaises(ValueError):
            nova.Params(timeout_action='pause')


class TestDisks(unittest.TestCase):
    """Nova's clock is one for the disks and the memory, as are its sizes."""

    def copying(self, params=None, **options):
        policy = nova.Nova(params)
        policy.begin(request.Options(**options), None, 0.0)
        return policy

    def test_each_disk_counts_for_2_gib_at_least(self):
        policy = self.copying()
        for sizes, seconds in (
            ((1024.0, 1024.0, 1024.0), 6400.0),
            ((1024.0, 4096.0), 6400.0),
            ((), 4000.0),
        ):
            seen = events.Statistics(disk_total_mib=3072.0)
            for after, kind in ((-1.0, contract.CarryOn), (0.0, None)):
                found = policy.judge_disks(seen, sizes, seconds + after)
                self.assertIsInstance(found, kind or contract.GiveUp, sizes)

    def test_the_clock_runs_on_when_the_memory_has_its_turn(self):
        policy = self.copying()
        disks = events.Statistics(disk_total_mib=10240.0)
        policy.judge_disks(disks, (10240.0,), 5000.0)
        begun = policy.begin(request.Options(), None, 5000.0)
        self.assertEqual(policy.downtime_ms(5), begun.downtime_ms)
        seen = events.Statistics(
            total_mib=2048.0, remaining_mib=900.0, iteration=2
        )
        found = policy.judge(seen, 9599.0, True)
        self.assertNotIsInstance(found, contract.GiveUp)
        found = policy.judge(seen, 9600.0, True)
        self.assertIsInstance(found, contract.GiveUp)
        self.assertIn('timeout of 9600 s', found.reason)

    def test_a_forced_one_is_forced_once_the_disks_are_across(self):
        policy = self.copying(FORCED, post_copy=True)
        disks = events.Statistics(disk_total_mib=1.0)
        found = policy.judge_disks(disks, (1.0,), 1000.0)
        self.assertIsInstance(found, contract.CarryOn)
        policy.begin(request.Options(post_copy=True), None, 1000.0)
        found = policy.judge(events.Statistics(total_mib=1.0), 1001.0, False)
        self.assertIsInstance(found, contract.StartPostCopy)

    def test_a_stop_that_fits_is_waited_for_after_the_disks(self):
        policy = self.copying(FORCED)
        policy.judge_disks(events.Statistics(), (1.0,), 1000.0)
        policy.begin(request.Options(), None, 1000.0)
        seen = events.Statistics(total_mib=1.0, remaining_mib=1.0)
        found = policy.judge(seen, 1001.0, False)
        self.assertIsInstance(found, contract.CarryOn)
        found = policy.judge(seen, 1061.0, False)
        self.assertIsInstance(found, contract.GiveUp)

    def test_a_limit_of_its_own_does_not_count_the_disks(self):
        policy = self.copying(time_limit_seconds=100.0)
        found = policy.judge_disks(events.Statistics(), (1.0,), 90000.0)
        self.assertIsInstance(found, contract.CarryOn)
        policy.begin(request.Options(time_limit_seconds=100.0), None, 90000.0)
        seen = events.Statistics(total_mib=1.0, remaining_mib=1.0)
        for at, given_up in ((90099.0, False), (90100.0, True)):
            found = policy.judge(seen, at, True)
            self.assertEqual(given_up, isinstance(found, contract.GiveUp))
