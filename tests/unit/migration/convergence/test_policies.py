"""What every policy has to bear: shared bandwidth, and stale statistics."""

import unittest

from benchmarks.convergence import __main__ as bench
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from tests.unit.migration import streams

_ENDS = (contract.StartPostCopy, contract.GiveUp)


class _Watched:
    """A policy, and a stream that it is shown once a second."""

    def __init__(self, name, **wanted):
        self.policy = bench.POLICIES[name]()
        wanted.setdefault('auto_converge', False)
        self.policy.begin(request.Options(**wanted), None, 0.0)
        self.stream = streams.Stream()

    def watch(self, mib_s, seconds):
        """Show the first pass."""
        since = self.stream.at
        return [
            self.policy.judge(
                self.stream.look(since + second, mib_s), since + second, False
            )
            for second in range(1, seconds + 1)
        ]

    def end_pass(self, mib_s, left_mib):
        at = self.stream.at + 1.0
        seen = self.stream.look(at, mib_s, iteration=2, remaining_mib=left_mib)
        return self.policy.judge(seen, at, True)

    def share(self, mib_s):
        self.policy.bandwidth_limited(mib_s, self.stream.at)


class EveryPolicyTest(unittest.TestCase):
    def test_a_share_that_changes_is_no_reason_to_end(self):
        for name in bench.POLICIES:
            for post_copy in (False, True):
                for before, share in ((100.0, 20), (20.0, 100)):
                    with self.subTest(name=name, share=share):
                        seen = _Watched(name, post_copy=post_copy)
                        found = seen.watch(before, 10)
                        seen.share(share)
                        found += seen.watch(float(share), 20)
                        # an easy guest: what is left fits the stop soon
                        found.append(seen.end_pass(float(share), share * 0.9))
                        ends = [one for one in found if isinstance(one, _ENDS)]
                        self.assertEqual([], ends)

    def test_statistics_that_are_stale_decide_nothing(self):
        """The hypervisor is silent for a while after the first pass."""
        for name in bench.POLICIES:
            for post_copy in (False, True):
                with self.subTest(name=name, post_copy=post_copy):
                    seen = _Watched(name, post_copy=post_copy)
                    seen.watch(100.0, 10)
                    stale = seen.stream.look(
                        11.0, 100.0, iteration=2, remaining_mib=40.0
                    )
                    seen.policy.judge(stale, 11.0, True)
                    for second in range(12, 72):
                        self.assertIsInstance(
                            seen.policy.judge(stale, float(second), False),
                            contract.CarryOn,
                        )


class AdaptiveTest(unittest.TestCase):
    def test_a_lowered_share_is_no_fault_of_the_network(self):
        seen = _Watched('adaptive', post_copy=True)
        seen.watch(100.0, 10)
        seen.share(10)
        seen.watch(10.0, 20)
        decision = seen.end_pass(10.0, 9.0)
        self.assertIsInstance(
            decision, (contract.CarryOn, contract.RaiseDowntime)
        )
        self.assertNotIn('network', decision.reason)

    def test_a_fault_at_a_raised_share_is_still_one(self):
        seen = _Watched('adaptive', post_copy=True)
        seen.watch(20.0, 10)
        seen.share(100)
        seen.watch(100.0, 10)
        seen.watch(5.0, 6)
        decision = seen.end_pass(5.0, 900.0)
        self.assertIsInstance(decision, contract.CarryOn)
        self.assertIn('network', decision.reason)
