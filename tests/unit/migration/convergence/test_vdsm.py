import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import vdsm
from tests.unit.migration import memory
from tests.unit.migration.convergence import test_adaptive


@st.composite
def options(draw):
    return request.Options(
        auto_converge=draw(st.booleans()),
        max_throttle_percent=draw(st.sampled_from((0, 50, 99))),
        max_downtime_ms=draw(st.integers(20, 6000)),
        post_copy=draw(st.booleans()),
        time_limit_seconds=draw(st.sampled_from((0.0, 30.0))),
    )


class TestEveryRun(unittest.TestCase):
    @hypothesis.settings(max_examples=300)
    @hypothesis.given(
        test_adaptive.guests(), options(), st.sampled_from(vdsm.NAMES)
    )
    def test_every_copy_ends_within_its_limits(self, guest, wanted, name):
        policy = vdsm.Vdsm(vdsm.Params(name))
        run = memory.migrate(guest, policy, wanted)
        self.assertLessEqual(run.limit_ms, wanted.max_downtime_ms)
        # the longest schedule, and the pass that ends it
        self.assertLessEqual(run.passes, 10)
        if run.end == 'switched':
            self.assertLessEqual(run.pause_ms, wanted.max_downtime_ms + 1)
        else:
            self.assertTrue(run.reason)
        if run.end == 'post-copy':
            self.assertTrue(wanted.post_copy)
        self.assertLessEqual(run.throttle_percent, wanted.max_throttle_percent)


class TestSchedules(unittest.TestCase):
    """A guest that never converges, seen at the end of each pass."""

    def decisions(self, schedule, refused=False, **wanted):
        policy = vdsm.Vdsm(vdsm.Params(schedule))
        settings = policy.begin(request.Options(**wanted), None, 0.0)
        if refused:
            policy.post_copy_refused('no userfaultfd')
        told = [settings.downtime_ms]
        for passes in range(1, 20):
            statistics = events.Statistics(
                remaining_mib=900.0, iteration=passes + 1
            )
            between = policy.judge(statistics, float(passes), False)
            self.assertIsInstance(between, contract.CarryOn)
            decision = policy.judge(statistics, float(passes), True)
            match decision:
                case contract.RaiseDowntime():
                    told.append((passes, decision.downtime_ms))
                case contract.CarryOn():
                    continue
                case _:
                    return [*told, (passes, type(decision))]
        raise AssertionError('the schedule never ended')

    def test_they_are_oVirt_s(self):
        rise = [100, (2, 150), (3, 200), (4, 300), (5, 400), (7, 500)]
        post_copy = [100, (2, 150), (3, 200)]
        over, go = contract.GiveUp, contract.StartPostCopy
        allowed = {'post_copy': True}
        for schedule, wanted, expected in (
            ('minimal_downtime', {}, [*rise, (8, over)]),
            ('minimal_downtime', allowed, [*rise, (8, over)]),
            (
                'suspend',
                {'max_downtime_ms': 6000},
                [*rise, (8, 5000), (9, over)],
            ),
            (
                'suspend',
                {'max_downtime_ms': 700},
                [*rise, (8, 700), (9, over)],
            ),
            ('post_copy', allowed, [*post_copy, (4, go)]),
            ('post_copy', {}, [*post_copy, (4, over)]),
            ('auto', allowed, [*post_copy, (4, go)]),
            ('auto', {}, [*rise, (8, over)]),
            ('auto', {'max_downtime_ms': 60}, [60, (8, over)]),
        ):
            with self.subTest(schedule=schedule, wanted=wanted):
                self.assertEqual(expected, self.decisions(schedule, **wanted))

    def test_refused_post_copy_is_given_up(self):
        *_, last = self.decisions('post_copy', refused=True, post_copy=True)
        self.assertEqual((4, contract.GiveUp), last)

    def test_a_limit_in_time_ends_it(self):
        for post_copy, expected in (
            (False, contract.GiveUp),
            (True, contract.StartPostCopy),
        ):
            policy = vdsm.Vdsm()
            wanted = request.Options(
                time_limit_seconds=5.0, post_copy=post_copy
            )
            policy.begin(wanted, None, 0.0)
            statistics = events.Statistics(remaining_mib=900.0, iteration=2)
            self.assertIsInstance(
                policy.judge(statistics, 5.0, False), expected
            )

    def test_a_schedule_that_is_none_is_refused(self):
        with self.assertRaises(ValueError):
            vdsm.Params('hurry')
