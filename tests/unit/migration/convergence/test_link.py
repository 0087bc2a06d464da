"""What a stream shows of its link, and when that is a fault."""

import unittest

from kvm_balancer.migration.convergence import link


def seen(*samples):
    """Return a link of which so much was seen, twice a second."""
    found = link.Link()
    for number, mib_s in enumerate(samples):
        found.sample(mib_s, number / 2.0)
    return found


class LinkTest(unittest.TestCase):
    def test_a_fault_that_comes_while_it_starts_is_seen(self):
        for samples in ((100.0, 100.0), (100.0, 100.0, 5.0)):
            with self.subTest(samples):
                found = seen(*samples, *[5.0] * 8)
                self.assertIsNotNone(found.collapsed_since)
                self.assertTrue(found.broken)

    def test_what_comes_in_lumps_is_slow_and_not_broken(self):
        found = seen(*[100.0] * 5, *[0.0, 50.0] * 50, 0.0)
        self.assertIsNotNone(found.collapsed_since)
        self.assertFalse(found.broken)
        self.assertFalse(found.carries)

    def test_a_stream_that_starts_slowly_has_no_fault(self):
        self.assertIsNone(seen(5.0, 60.0, 100.0, 100.0).collapsed_since)

    def test_what_was_limited_at_first_is_measured_by_its_limit(self):
        found = seen(100.0, 100.0)
        found.limit(20.0)
        for number in range(2, 8):
            found.sample(20.0, number / 2.0)
        self.assertIsNone(found.collapsed_since)

    def test_what_others_come_to_share_has_no_fault(self):
        """Whatever limit was set: what it carries may be stated too high."""
        for streams in (2, 3, 8):
            found = seen(112.0, 112.0, 112.0, 112.0)
            found.limit(1120.0 / streams)
            found.share(streams)
            for number in range(4, 12):
                found.sample(112.0 / streams, number / 2.0)
            self.assertIsNone(found.collapsed_since, streams)
            self.assertAlmostEqual(112.0 / streams, found.bandwidth_mib_s)
            found.sample(40.0 / streams, 6.0)
            self.assertIsNotNone(found.collapsed_since, streams)

    def test_a_fault_that_was_there_before_others_came_stays_one(self):
        found = seen(112.0, 112.0, 112.0, 10.0)
        found.share(2)
        found.sample(10.0, 3.0)
        self.assertEqual(1.5, found.collapsed_since)

    def test_what_others_leave_is_expected_once_it_is_seen(self):
        found = seen(112.0, 112.0, 112.0)
        found.share(2)
        for number in range(3, 9):
            found.sample(56.0, number / 2.0)
        found.share(1)
        found.sample(50.0, 5.0)
        self.assertIsNone(found.collapsed_since)
        for number in range(11, 20):
            found.sample(112.0, number / 2.0)
        found.sample(50.0, 10.0)
        self.assertIsNotNone(found.collapsed_since)
