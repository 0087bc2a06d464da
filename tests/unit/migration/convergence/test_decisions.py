"""Decisions on migrations drawn from seeds, judged by who knows the guest."""

import unittest

from benchmarks.convergence import __main__ as bench
from benchmarks.convergence import cases
from benchmarks.convergence import drive
from benchmarks.convergence import oracle
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.virt.simulated import habits
from kvm_balancer.virt.simulated import memory


class DecisionsTest(unittest.TestCase):
    def test_none_is_wrong_where_it_could_be_known(self):
        for seed in range(130):
            case = cases.draw(seed)
            ran = drive.run(case, adaptive.Adaptive())
            found = oracle.judge(case, oracle.ask(case), ran)
            known = [
                one for one in found if oracle.foreseeable(case, ran, one)
            ]
            self.assertEqual([], known, f'{case.name}: {ran.reason}')

    def test_a_small_guest_has_the_time_that_the_throttle_takes(self):
        """Its passes are short, and the throttle rises by seconds."""
        for memory_mib, bandwidth in ((256.0, 1120.0), (2000.0, 2400.0)):
            for ratio in (1.5, 3.0, 6.0):
                for sweep in (False, True):
                    region = habits.Region(
                        memory_mib * 0.8, bandwidth * ratio, sweep
                    )
                    case = cases.predicted(
                        cases.Case(
                            f'{memory_mib} MiB {ratio} {sweep}',
                            'even',
                            memory.Guest(
                                memory_mib, memory_mib, regions=(region,)
                            ),
                            bandwidth,
                            request.Options(max_downtime_ms=100),
                        )
                    )
                    ran = drive.run(case, adaptive.Adaptive())
                    patient = oracle.patient(case, 120.0)
                    self.assertEqual(patient.end, ran.end, case.name)
                    self.assertEqual(drive.SWITCHED, ran.end, case.name)
                    self.assertTrue(case.predicted.converges, case.name)

    def test_no_guest_is_slowed_down_more_than_is_allowed(self):
        for seed in range(130):
            case = cases.draw(seed)
            ran = drive.run(case, adaptive.Adaptive())
            self.assertLessEqual(
                ran.throttle_percent,
                case.options.max_throttle_percent,
                case.name,
            )

    def test_with_post_copy_it_takes_as_long_as_the_hybrid(self):
        for ratio in (0.1, 0.2, 0.3, 0.7, 1.0, 2.0, 4.0):
            for share in (0.02, 0.1, 0.2, 0.5, 1.0):
                case = cases.predicted(bench._busy(ratio, share, False))
                ran = drive.run(case, adaptive.Adaptive())
                self.assertLess(
                    ran.seconds, 1.055 * case.hybrid_seconds, case.name
                )

    def test_the_next_rung_comes_two_passes_after_the_allowed_throttle(self):
        """More are made only where the guest comes close to converging."""
        for post_copy in (True, False):
            for allowed in (20, 30, 50, 80):
                for case in bench.throttled(post_copy, allowed):
                    ran = drive.run(case, adaptive.Adaptive())
                    self.assertLessEqual(ran.throttle_percent, allowed)
                    if ran.end == drive.SWITCHED:
                        continue
                    passes = oracle.passes_after_throttle(case, ran)
                    self.assertTrue(
                        passes <= 2 or oracle.nearly_converges(case),
                        f'{case.name} {allowed}: {passes}, {ran.reason}',
                    )

    def test_post_copy_begins_with_the_end_of_the_first_pass(self):
        for ratio in (1.0, 2.0, 4.0):
            for share in (0.3, 0.5, 1.0):
                case = bench._busy(ratio, share, False)
                ran = drive.run(case, adaptive.Adaptive())
                self.assertEqual(drive.POST_COPY, ran.end)
                self.assertEqual(ran.passes[0].at, ran.decided_at)
