"""A link that stays slow: no post-copy, whatever else is done."""

import math
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import link
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from tests.unit.migration import streams

_LOOK_SECONDS = 0.5
_TOTAL_MIB = 1000.0

#: What is left at the end of a pass: so little that every stop fits, what
#: fits a sound link only, and what fits none.
_LITTLE_MIB, _SOME_MIB, _MUCH_MIB = 1.0, 40.0, 900.0


_PATIENCE = (
    (request.Profile.BALANCE, 60.0),
    (request.Profile.DRAIN, 300.0),
)


class _Copy:
    """A policy that is shown a copy, twice a second."""

    def __init__(self, policy=None, **options):
        options.setdefault('post_copy', True)
        options.setdefault('auto_converge', False)
        self.policy = policy or adaptive.Adaptive()
        self.policy.begin(request.Options(**options), None, 0.0)
        self.stream = streams.Stream()
        self.iteration = 1
        self.decision = contract.CarryOn('')
        self.decided = []

    def judge(self, mib_s, boundary=False, left_mib=_MUCH_MIB):
        self.iteration += boundary
        at = self.stream.at + _LOOK_SECONDS
        seen = self.stream.look(
            at,
            mib_s,
            iteration=self.iteration,
            remaining_mib=left_mib,
            total_mib=_TOTAL_MIB,
        )
        self.decision = self.policy.judge(seen, at, boundary)
        self.decided.append(self.decision)
        return self.decision

    def flow(self, seconds, mib_s, pass_seconds=math.inf, left_mib=_MUCH_MIB):
        """Go on until it is given up or post-copied, or *seconds* long."""
        until = self.stream.at + seconds
        ends_at = self.stream.at + pass_seconds
        while self.stream.at < until and not self.ended:
            ends = self.stream.at + _LOOK_SECONDS >= ends_at
            ends_at += pass_seconds if ends else 0.0
            self.judge(mib_s, ends, left_mib)

    @property
    def ended(self):
        return isinstance(
            self.decision, (contract.GiveUp, contract.StartPostCopy)
        )

    @property
    def kinds(self):
        return {type(one) for one in self.decided}


class SlowLinkTest(unittest.TestCase):
    def collapsed(self, passes=1, **options):
        """Make a copy whose link fell from 100 to 35 MiB/s."""
        copy = _Copy(**options)
        copy.flow(10.0, 100.0)
        if passes:
            copy.judge(35.0, boundary=True)
        return copy

    def test_who_cannot_converge_is_given_up_by_the_network(self):
        for profile, seconds in _PATIENCE:
            copy = self.collapsed(profile=profile)
            copy.flow(seconds - 1.0, 35.0, pass_seconds=5.0)
            self.assertEqual({contract.CarryOn}, copy.kinds)
            copy.flow(20.0, 35.0, pass_seconds=5.0)
            self.assertIsInstance(copy.decision, contract.GiveUp)
            self.assertIn('network', copy.decision.reason)
            # all the downtime that is allowed was tried first
            self.assertIn(contract.RaiseDowntime, copy.kinds)

    def test_a_link_that_others_come_to_share_is_sound(self):
        """Also where it carries a tenth of what it is stated to."""
        for profile, _ in _PATIENCE:
            for others in (2, 3, 4):
                copy = _Copy(profile=profile)
                copy.flow(10.0, 112.0)
                copy.policy.link_shared(others, copy.stream.at)
                copy.policy.bandwidth_limited(1120 // others, copy.stream.at)
                copy.flow(8.0, 112.0 / others)
                copy.judge(112.0 / others, boundary=True)
                self.assertIsInstance(
                    copy.decision, contract.StartPostCopy, others
                )

    def test_nothing_is_decided_by_a_share_that_was_raised_just_now(self):
        """What it carries from now on is not seen yet."""
        copy = _Copy()
        copy.policy.bandwidth_limited(50, 0.0)
        copy.flow(10.0, 50.0)
        copy.policy.bandwidth_limited(100, copy.stream.at)
        copy.judge(50.0, boundary=True)
        self.assertIsInstance(copy.decision, contract.CarryOn)
        self.assertIn('raised just now', copy.decision.reason)
        copy.flow(10.0, 100.0, pass_seconds=5.0)
        self.assertIsInstance(copy.decision, contract.StartPostCopy)

    def test_who_converges_is_gone_on_with(self):
        """However long that takes: it writes 20 MiB/s to all its memory."""
        for profile, seconds in _PATIENCE:
            copy = _Copy(profile=profile, max_downtime_ms=100)
            first_pass = seconds * 2.0
            copy.flow(first_pass, 100.0)
            left = first_pass * 20.0
            copy.judge(35.0, boundary=True, left_mib=left)
            while left > 3.0:
                took = max(left / 35.0, _LOOK_SECONDS)
                left = took * 20.0
                copy.flow(took, 35.0, took, left)
                if took == _LOOK_SECONDS:
                    break
            self.assertGreater(copy.stream.at, first_pass + seconds)
            self.assertFalse(copy.ended, copy.decision.reason)

    def test_a_stop_that_fits_is_made_at_any_time(self):
        for profile, seconds in _PATIENCE:
            for waits in (5.0, seconds + 10.0):
                copy = self.collapsed(profile=profile, max_downtime_ms=2000)
                copy.flow(waits, 35.0)
                copy.judge(35.0, boundary=True, left_mib=_SOME_MIB)
                self.assertFalse(copy.ended, copy.decision.reason)
                copy.flow(60.0, 35.0, pass_seconds=2.0, left_mib=_SOME_MIB)
                self.assertFalse(copy.ended, copy.decision.reason)
                self.assertIn(contract.RaiseDowntime, copy.kinds)

    def test_what_was_due_is_started_when_the_link_is_sound(self):
        for profile, seconds in _PATIENCE:
            copy = self.collapsed(profile=profile)
            copy.flow(seconds + 30.0, 35.0)
            self.assertEqual({contract.CarryOn}, copy.kinds)
            copy.flow(3.0, 100.0)
            self.assertIsInstance(copy.decision, contract.StartPostCopy)

    def test_a_pass_may_end_after_all_patience(self):
        """Nothing is known of a guest before its first pass is over."""
        for profile, seconds in _PATIENCE:
            copy = self.collapsed(passes=0, profile=profile)
            copy.flow(2.0 * seconds, 35.0)
            self.assertEqual({contract.CarryOn}, copy.kinds)
            copy.judge(35.0, boundary=True)
            copy.flow(150.0, 35.0, pass_seconds=25.0)
            self.assertIsInstance(copy.decision, contract.GiveUp)
            self.assertIn('network', copy.decision.reason)

    def test_at_the_time_limit_only_a_stop_that_fits_is_made(self):
        table = (
            # what is left, what the end tells
            (_MUCH_MIB, contract.GiveUp),
            (_LITTLE_MIB, contract.RaiseDowntime),
        )
        for profile, seconds in _PATIENCE:
            for left, kind in table:
                for limit in (30.0, seconds + 30.0):
                    copy = self.collapsed(
                        profile=profile, time_limit_seconds=limit
                    )
                    copy.flow(limit - copy.stream.at - 1.0, 35.0)
                    copy.judge(35.0, boundary=True, left_mib=left)
                    copy.flow(2.0, 35.0, left_mib=left)
                    self.assertIn(kind, copy.kinds)
                    copy.flow(20.0, 35.0, left_mib=left)
                    self.assertIsInstance(copy.decision, contract.GiveUp)
                    self.assertIn('network', copy.decision.reason)

    def test_a_limit_that_was_lowered_is_no_fault(self):
        copy = _Copy()
        copy.flow(10.0, 100.0)
        copy.policy.bandwidth_limited(35, copy.stream.at)
        copy.flow(20.0, 35.0)
        self.assertEqual({contract.CarryOn}, copy.kinds)
        copy.flow(30.0, 35.0, pass_seconds=26.0)
        self.assertIsInstance(copy.decision, contract.StartPostCopy)


#: Stretches of a trace: how long, at what bandwidth, and how long a pass of
#: it takes.
_STRETCHES = st.tuples(
    st.sampled_from((1.0, 3.0, 20.0, 70.0)),
    st.sampled_from((0.0, 2.0, 9.0, 20.0, 34.0, 49.0, 51.0, 80.0, 120.0)),
    st.sampled_from((1.0, 7.0, 40.0)),
    st.sampled_from((_LITTLE_MIB, _SOME_MIB, _MUCH_MIB)),
)
_OPTIONS = st.fixed_dictionaries(
    {
        'profile': st.sampled_from(request.Profile),
        'auto_converge': st.booleans(),
        'max_throttle_percent': st.sampled_from((20, 99)),
        'max_downtime_ms': st.sampled_from((100, 500, 2000)),
        'time_limit_seconds': st.sampled_from((0.0, 30.0, 90.0)),
    }
)


class TraceTest(unittest.TestCase):
    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(options=_OPTIONS, trace=st.lists(_STRETCHES, max_size=6))
    def test_none_is_sent_off_below_half_of_the_peak(self, options, trace):
        """By a reckoning of its own: the smoothed peak, and its age."""
        copy = _Copy(**options)
        smoothed = peak = 100.0
        for seconds, mib_s, pass_seconds, left in (
            (10.0, 100.0, math.inf, _MUCH_MIB),
            *trace,
        ):
            began = copy.stream.at
            copy.flow(seconds, mib_s, pass_seconds, left)
            for _ in range(int((copy.stream.at - began) / _LOOK_SECONDS)):
                smoothed += link.ALPHA * (mib_s - smoothed)
                peak *= 0.5 ** (_LOOK_SECONDS / link.PEAK_HALF_LIFE_SECONDS)
                peak = max(peak, smoothed)
            if isinstance(copy.decision, contract.StartPostCopy):
                self.assertGreaterEqual(mib_s, 0.49 * peak)
            if copy.ended:
                return

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(
        options=_OPTIONS,
        trace=st.lists(
            st.tuples(
                st.sampled_from((1.0, 20.0, 70.0, 400.0)),
                st.floats(0.0, 49.0),
                st.sampled_from((1.0, 7.0, 40.0)),
                st.sampled_from((_LITTLE_MIB, _SOME_MIB, _MUCH_MIB)),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def test_no_wait_makes_a_slow_link_a_sound_one(self, options, trace):
        copy = _Copy(**options)
        copy.flow(10.0, 100.0)
        for seconds, mib_s, pass_seconds, left in trace:
            copy.flow(seconds, mib_s, pass_seconds, left)
        self.assertNotIn(contract.StartPostCopy, copy.kinds)


#: What they would begin post-copy by within seconds.
_FORCED = nova.Params(timeout_seconds=2.0, timeout_action=nova.FORCE_COMPLETE)
_FAMILIAR = (lambda: nova.Nova(_FORCED), vdsm.Vdsm)
_LEVELS = st.floats(0.0, 0.95 * link.FAULT_SHARE)


class TestFamiliar(unittest.TestCase):
    """The policies that are taken over from others."""

    def begin(self, make, **options):
        copy = _Copy(make(), **options)
        copy.flow(3.0, 100.0, 1.4)
        self.assertFalse(copy.ended)
        return copy

    @hypothesis.settings(max_examples=30)
    @hypothesis.given(
        st.sampled_from(_FAMILIAR), st.sampled_from(_PATIENCE), _LEVELS
    )
    def test_no_post_copy_over_a_link_that_fell(self, make, profile, level):
        name, seconds = profile
        copy = self.begin(make, profile=name)
        copy.flow(seconds - 2.0, 100.0 * level, 2.0)
        self.assertFalse(copy.ended, copy.decision)
        self.assertTrue(
            any('is put off' in one.reason for one in copy.decided)
        )
        copy.flow(10.0, 100.0 * level, 2.0)
        self.assertIsInstance(copy.decision, contract.GiveUp)
        self.assertIn('a fault of the network', copy.decision.reason)

    @hypothesis.given(st.sampled_from(_FAMILIAR), _LEVELS)
    def test_it_begins_once_the_link_is_sound_again(self, make, level):
        copy = self.begin(make)
        copy.flow(20.0, 100.0 * level, 2.0)
        copy.flow(20.0, 100.0, 2.0)
        self.assertIsInstance(copy.decision, contract.StartPostCopy)

    @hypothesis.given(st.sampled_from(_FAMILIAR), st.integers(2, 8))
    def test_one_that_is_shared_or_limited_has_no_fault(self, make, streams):
        def share(copy):
            copy.policy.link_shared(streams, copy.stream.at)

        def limit(copy):
            copy.policy.bandwidth_limited(100 // streams, copy.stream.at)

        for told in ((share, limit), (share,), (limit,)):
            copy = self.begin(make)
            for tell in told:
                tell(copy)
            copy.flow(30.0, 100.0 / streams, 2.0)
            self.assertIsInstance(copy.decision, contract.StartPostCopy)

    def begin_long_pass(self, make):
        """A pass that asks for post-copy, and the next, which has no end."""
        copy = self.begin(make)
        copy.flow(1.0, 5.0)
        while not any('is put off' in one.reason for one in copy.decided):
            copy.judge(5.0, boundary=True)
        self.assertFalse(copy.ended)
        return copy

    def test_what_was_put_off_is_asked_for_at_each_look(self):
        for make in _FAMILIAR:
            copy = self.begin_long_pass(make)
            copy.flow(20.0, 100.0)
            self.assertIsInstance(copy.decision, contract.StartPostCopy)

    def test_what_was_put_off_is_given_up_without_the_end_of_a_pass(self):
        for make in _FAMILIAR:
            for mib_s in (0.0, 5.0, 30.0):
                copy = self.begin_long_pass(make)
                copy.flow(120.0, mib_s)
                self.assertIsInstance(copy.decision, contract.GiveUp)
                self.assertIn('a fault of the network', copy.decision.reason)

    def test_what_is_refused_is_not_asked_for_again(self):
        copy = self.begin_long_pass(vdsm.Vdsm)
        copy.policy.post_copy_refused('no userfaultfd')
        copy.flow(20.0, 100.0)
        self.assertFalse(copy.ended)
        self.assertNotIn(contract.StartPostCopy, copy.kinds)

    def test_a_pass_over_a_dead_link_is_not_waited_for(self):
        """Also before post-copy was thought of, or where it may not be."""
        for post_copy in (False, True):
            for mib_s in (0.0, 5.0):
                copy = _Copy(vdsm.Vdsm(), post_copy=post_copy)
                copy.flow(3.0, 100.0)
                copy.flow(55.0, mib_s)
                self.assertFalse(copy.ended, copy.decision)
                copy.flow(20.0, mib_s)
                self.assertIsInstance(copy.decision, contract.GiveUp)
                self.assertIn('a fault of the network', copy.decision.reason)
