"""What a stream shows of its link, and when that is a fault."""

import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer.migration import events
from kvm_balancer.migration.convergence import link
from kvm_balancer.migration.convergence import trend
from tests.unit.migration import streams


def seen(*samples):
    """Return a link of which so much was seen, twice a second."""
    found = link.Link()
    for number, mib_s in enumerate(samples):
        found.sample(mib_s, number / 2.0)
    return found


def looks(mib_s):
    """Return statistics of a steady stream, and when they are of.

    The hypervisor has its turn now and then, and tells of a tenth of a second
    in which it had more of them, or fewer.
    """
    each = strategies.tuples(
        strategies.floats(0.1, 0.6),
        strategies.floats(0.0, 0.15),
        strategies.floats(0.4, 1.2),
    )

    def shown(drawn):
        at = 0.0
        for after, behind, told in drawn:
            at += after
            sent = mib_s * (at - min(behind, after / 2.0))
            yield (
                at,
                events.Statistics(
                    elapsed_ms=1000.0 * at,
                    total_mib=1e6,
                    transferred_mib=sent,
                    remaining_mib=1e6 - sent,
                    bandwidth_mib_s=told * mib_s,
                    iteration=1,
                ),
            )

    return strategies.lists(each).map(shown)


class TrendTest(unittest.TestCase):
    @hypothesis.given(
        strategies.sampled_from((0.5, 4.0, 100.0)).flatmap(looks)
    )
    def test_a_steady_stream_has_no_fault_however_it_is_looked_at(self, shown):
        found = trend.Trend()
        for at, statistics in shown:
            found.measure(statistics, at, False)
            self.assertIsNone(found.link.collapsed_since, at)

    def test_next_to_nothing_that_waits_to_be_sent_is_no_fault(self):
        """Pass ends after pass: the link waits for the memory."""
        for rate, waiting_mib, passes, sound in (
            (0.4, 0.005, True, True),
            (0.02, 0.001, True, True),
            # all that keeps the link from carrying it is the link
            (0.4, 0.5, True, False),
            (0.0, 0.005, False, False),
        ):
            with self.subTest(rate=rate, waiting=waiting_mib):
                found, stream = trend.Trend(), streams.Stream()
                iteration = 1
                for number in range(1, 41):
                    copies = number <= 20
                    iteration += passes and not copies
                    left = 20.0 - number if copies else waiting_mib
                    look = stream.look(
                        float(number),
                        1.0 if copies else rate,
                        remaining_mib=left,
                        iteration=iteration,
                    )
                    found.measure(look, look.elapsed_ms / 1000.0, False)
                self.assertEqual(sound, found.link.collapsed_since is None)


_MIB_S = strategies.floats(0.1, 5000.0)


class LinkTest(unittest.TestCase):
    @hypothesis.given(
        _MIB_S,
        strategies.floats(1.0, 100.0),
        strategies.lists(
            strategies.tuples(
                strategies.floats(0.4, 1.3), strategies.floats(0.8, 1.2)
            )
        ),
    )
    def test_a_steady_link_has_no_fault(self, mib_s, burst, seen):
        """Buffers fill at first; what is told comes in pieces."""
        found = link.Link()
        found.sample(burst * mib_s, 0.0, burst * mib_s)
        for number, (told, sent) in enumerate(seen, start=1):
            # as often too high as too low, by less than half of it all
            rate = mib_s if number % 2 else told * mib_s
            found.sample(rate, number / 2.0, sent * mib_s)
            self.assertIsNone(found.collapsed_since, number)

    @hypothesis.given(
        _MIB_S,
        strategies.floats(0.001, 0.95 * link.FAULT_SHARE),
        strategies.integers(link.WARM_UP_SAMPLES, 100),
    )
    def test_a_fault_is_seen_with_the_first_sample_of_it(
        self, mib_s, level, sound
    ):
        found = seen(*[mib_s] * sound)
        found.sample(level * mib_s, sound / 2.0, level * mib_s)
        self.assertEqual(sound / 2.0, found.collapsed_since)

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
        for sharers in (2, 3, 8):
            found = seen(112.0, 112.0, 112.0, 112.0)
            found.limit(1120.0 / sharers)
            found.share(sharers)
            for number in range(4, 12):
                found.sample(112.0 / sharers, number / 2.0)
            self.assertIsNone(found.collapsed_since, sharers)
            self.assertAlmostEqual(112.0 / sharers, found.bandwidth_mib_s)
            found.sample(40.0 / sharers, 6.0)
            self.assertIsNotNone(found.collapsed_since, sharers)

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
