"""What is still to be expected is known, or said not to be."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import outlook
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import plan

S = states.State
PREDICTED = plan.Prediction(30.0, 120.0, 1000.0)


def lookout(predicted=PREDICTED, **options):
    return outlook.Lookout(
        request.Request(
            *('m1', 'i1', 'alpha', 'beta', 'qemu+tls://beta/system', 0.0),
            options=request.Options(**options),
            predicted=predicted,
        )
    )


def seen(**figures):
    figures.setdefault('bandwidth_mib_s', 100.0)
    figures.setdefault('iteration', 1)
    return events.Statistics(**figures)


class OutlookTest(unittest.TestCase):
    def test_before_the_copy_it_is_what_was_predicted(self):
        for state in (S.REQUESTED, S.PRE_FLIGHT, S.PREPARING):
            self.assertEqual(
                outlook.Outlook(30.0, 120.0), lookout().look(state, 0.0, 300)
            )

    def test_without_a_prediction_nothing_is_known_before_the_first_end(self):
        ahead = lookout(None)
        ahead.take(seen(remaining_mib=800.0), 1.0, False)
        for state in (S.PREPARING, S.COPYING_STORAGE, S.PRE_COPY):
            self.assertEqual(outlook.Outlook(), ahead.look(state, 1.0, 300))

    def test_a_prediction_without_bandwidth_is_unknown(self):
        ahead = lookout(plan.Prediction(float('inf'), float('inf'), 0.0))
        self.assertEqual(outlook.Outlook(), ahead.look(S.PREPARING, 0, 300))

    def test_the_first_pass_scales_the_prediction_to_the_bandwidth(self):
        ahead = lookout()
        ahead.take(
            seen(transferred_mib=200.0, remaining_mib=800.0), 2.0, False
        )
        found = ahead.look(S.PRE_COPY, 2.0, 300)
        self.assertEqual(outlook.Outlook(8.0, 120.0), found)

    def test_the_second_pass_believes_a_prediction_that_was_borne_out(self):
        """Of one that the first pass refutes nothing is left to be told."""
        for predicted_mib, left, expected in (
            (2000.0, 600.0, outlook.Outlook(10.0, 120.0)),
            # never less than what is left takes
            (1500.0, 600.0, outlook.Outlook(6.0, 120.0)),
            (1000.0, 600.0, outlook.Outlook()),
            (1300.0, 900.0, outlook.Outlook()),
        ):
            with self.subTest(predicted_mib=predicted_mib, left=left):
                ahead = lookout(plan.Prediction(30.0, 120.0, predicted_mib))
                now = seen(total_mib=1000.0, remaining_mib=1000.0)
                ahead.take(now, 0.0, False)
                now = seen(
                    total_mib=1000.0,
                    remaining_mib=left,
                    transferred_mib=1000.0,
                    iteration=2,
                )
                ahead.take(now, 10.0, True)
                self.assertEqual(expected, ahead.look(S.PRE_COPY, 10.0, 300))

    def test_the_time_of_the_disks_is_none_of_the_memory_s(self):
        """A copy after its disks is looked ahead in as one without any."""
        found = []
        for begins in (0.0, 60.0, 600.0):
            ahead = lookout(None)
            for at in range(int(begins)):
                disks = events.Statistics(
                    elapsed_ms=at * 1000.0,
                    disk_total_mib=6000.0,
                    disk_remaining_mib=6000.0 - at,
                )
                ahead.take(disks, float(at), False)
            for after, left, sent, number in (
                (0.0, 1000.0, 0.0, 1),
                (10.0, 600.0, 1000.0, 2),
                (16.0, 360.0, 1600.0, 3),
            ):
                now = seen(
                    elapsed_ms=(begins + after) * 1000.0,
                    total_mib=1000.0,
                    remaining_mib=left,
                    transferred_mib=sent,
                    iteration=number,
                )
                ahead.take(now, begins + after, number > 1)
            found.append(ahead.look(S.PRE_COPY, begins + 16.0, 300))
        self.assertIsNotNone(found[0].remaining_seconds)
        self.assertEqual([found[0]] * 3, found)

    def test_a_converging_copy_counts_down_to_its_switch(self):
        ahead = lookout()
        for at, left, number in (
            (0.0, 1000.0, 1),
            (6.0, 700.0, 2),
            (10.0, 400.0, 3),
        ):
            ahead.take(
                seen(
                    remaining_mib=left,
                    iteration=number,
                    transferred_mib=100.0 * at,
                ),
                at,
                number > 1,
            )
        first = ahead.look(S.PRE_COPY, 10.0, 300)
        later = ahead.look(S.PRE_COPY, 12.0, 300)
        self.assertAlmostEqual(
            2.0, first.remaining_seconds - later.remaining_seconds
        )
        # the hypervisor switches at the limit, and not far below it
        self.assertTrue(300 <= first.expected_downtime_ms <= 330)

    def test_a_copy_that_stalls_has_no_end_to_tell(self):
        ahead = lookout(max_downtime_ms=500)
        for number in range(1, 5):
            ahead.take(
                seen(
                    remaining_mib=400.0,
                    iteration=number,
                    transferred_mib=400.0 * number,
                ),
                4.0 * number,
                number > 1,
            )
        self.assertEqual(outlook.Outlook(), ahead.look(S.PRE_COPY, 16.0, 300))

    def test_the_limit_that_may_still_be_raised_counts(self):
        ahead = lookout(max_downtime_ms=5000)
        for number in range(1, 5):
            ahead.take(
                seen(
                    remaining_mib=400.0,
                    iteration=number,
                    transferred_mib=400.0 * number,
                ),
                4.0 * number,
                number > 1,
            )
        found = ahead.look(S.PRE_COPY, 16.0, 300)
        self.assertAlmostEqual(4.0, found.remaining_seconds)
        self.assertGreater(found.expected_downtime_ms, 4000.0)

    def test_post_copy_only_has_the_rest_to_send(self):
        ahead = lookout()
        ahead.take(seen(remaining_mib=250.0), 5.0, False)
        self.assertEqual(
            outlook.Outlook(2.5), ahead.look(S.POST_COPY, 5.0, 300)
        )

    def test_storage_adds_the_memory_whose_turn_is_to_come(self):
        ahead = lookout()
        for at, left in ((0.0, 1000.0), (10.0, 800.0)):
            ahead.take(
                seen(disk_remaining_mib=left, bandwidth_mib_s=0, iteration=0),
                at,
                False,
            )
        found = ahead.look(S.COPYING_STORAGE, 10.0, 300)
        self.assertAlmostEqual(40.0 + 30.0, found.remaining_seconds)

    def test_nothing_is_expected_of_what_is_over(self):
        for state in (S.SWITCHOVER, S.VERIFYING, S.COMPLETED):
            self.assertEqual(
                outlook.Outlook(), lookout().look(state, 0.0, 300)
            )
