"""What every policy has to bear: shared bandwidth, and stale statistics."""

import unittest

from benchmarks.convergence import __main__ as bench
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract

_ENDS = (contract.StartPostCopy, contract.GiveUp)


def _begun(name, **wanted):
    policy = bench.POLICIES[name]()
    wanted.setdefault('auto_converge', False)
    policy.begin(request.Options(**wanted), None, 0.0)
    return policy


def _seen(left_mib, mib_s, iteration=1):
    return events.Statistics(
        total_mib=1000.0,
        remaining_mib=left_mib,
        bandwidth_mib_s=mib_s,
        iteration=iteration,
    )


def _watched(policy, mib_s, since, seconds):
    """Show the first pass once a second."""
    return [
        policy.judge(_seen(900.0, mib_s), float(second), False)
        for second in range(since, since + seconds)
    ]


class EveryPolicyTest(unittest.TestCase):
    def test_a_share_that_changes_is_no_reason_to_end(self):
        for name in bench.POLICIES:
            for post_copy in (False, True):
                for before, share in ((100.0, 20), (20.0, 100)):
                    with self.subTest(name=name, share=share):
                        policy = _begun(name, post_copy=post_copy)
                        found = _watched(policy, before, 0, 10)
                        policy.bandwidth_limited(share, 10.0)
                        found += _watched(policy, float(share), 10, 20)
                        # an easy guest: what is left fits the stop soon
                        left = share * 0.9
                        found.append(
                            policy.judge(
                                _seen(left, float(share), 2), 31.0, True
                            )
                        )
                        ends = [one for one in found if isinstance(one, _ENDS)]
                        self.assertEqual([], ends)

    def test_statistics_that_are_stale_decide_nothing(self):
        """The hypervisor is silent for a while after the first pass."""
        for name in bench.POLICIES:
            for post_copy in (False, True):
                with self.subTest(name=name, post_copy=post_copy):
                    policy = _begun(name, post_copy=post_copy)
                    _watched(policy, 100.0, 0, 10)
                    stale = _seen(40.0, 100.0, 2)
                    policy.judge(stale, 10.0, True)
                    for second in range(11, 71):
                        self.assertIsInstance(
                            policy.judge(stale, float(second), False),
                            contract.CarryOn,
                        )


class AdaptiveTest(unittest.TestCase):
    def test_a_lowered_share_is_no_fault_of_the_network(self):
        policy = _begun('adaptive', post_copy=True)
        _watched(policy, 100.0, 0, 10)
        policy.bandwidth_limited(10, 10.0)
        _watched(policy, 10.0, 10, 20)
        decision = policy.judge(_seen(9.0, 10.0, 2), 30.0, True)
        self.assertIsInstance(
            decision, (contract.CarryOn, contract.RaiseDowntime)
        )
        self.assertNotIn('network', decision.reason)

    def test_a_fault_at_a_raised_share_is_still_one(self):
        policy = _begun('adaptive', post_copy=True)
        _watched(policy, 20.0, 0, 10)
        policy.bandwidth_limited(100, 10.0)
        _watched(policy, 100.0, 10, 10)
        _watched(policy, 5.0, 20, 6)
        decision = policy.judge(_seen(900.0, 5.0, 2), 26.0, True)
        self.assertIsInstance(decision, contract.CarryOn)
        self.assertIn('network', decision.reason)
