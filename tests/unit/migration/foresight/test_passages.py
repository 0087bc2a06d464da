"""What hosts and links have shown is told of them, and of nothing else."""

import unittest

from kvm_balancer.migration.foresight import passages

AB, BC, CD = ('a', 'b'), ('b', 'c'), ('c', 'd')


def passage(at=0.0, ends=AB, seconds=10.0, fixed=2.0, mib=1000.0, **changes):
    """One that began at *at* and copied for *seconds*."""
    return passages.Passage(
        ends, at, at + 10.0, mib, seconds, fixed, **changes
    )


class PassagesTest(unittest.TestCase):
    def setUp(self):
        self.book = passages.Passages()

    def add(self, *many):
        for one in many:
            self.book.add(one)

    def test_nothing_is_known_of_what_was_hardly_seen(self):
        self.add(passage(0))
        self.assertIsNone(self.book.fixed_seconds(AB))
        self.assertIsNone(self.book.bandwidth_mib_s(AB))

    def test_an_odd_one_does_not_move_what_is_fixed(self):
        self.add(*(passage(20 * n, fixed=2.0 + n / 10) for n in range(4)))
        self.add(passage(100, fixed=60.0), passage(120, fixed=None))
        self.assertAlmostEqual(2.2, self.book.fixed_seconds(AB))

    def test_hosts_that_never_met_are_taken_for_the_others(self):
        self.add(*(passage(20 * n, fixed=3.0) for n in range(3)))
        self.add(*(passage(20 * n, BC, fixed=1.0) for n in range(10, 15)))
        self.assertEqual(3.0, self.book.fixed_seconds(AB))
        self.assertEqual(1.0, self.book.fixed_seconds(BC))
        self.assertEqual(1.0, self.book.fixed_seconds(CD))

    def test_a_link_carries_the_most_that_it_carried_lately(self):
        self.add(passage(0), passage(20, seconds=5.0), passage(40, seconds=8))
        self.assertEqual(200.0, self.book.bandwidth_mib_s(AB))
        self.assertIsNone(self.book.bandwidth_mib_s(CD))
        # and what was long ago is forgotten
        self.add(*(passage(20 * n) for n in range(3, 20)))
        self.assertEqual(100.0, self.book.bandwidth_mib_s(AB))

    def test_those_that_shared_a_host_do_not_tell_of_its_link(self):
        """Neither does, in whatever order they end."""
        self.add(passage(0), passage(20), passage(25, BC, seconds=1.0))
        self.assertIsNone(self.book.bandwidth_mib_s(AB))
        self.add(passage(40, BC), passage(45, CD), passage(45, AB))
        self.assertIsNone(self.book.bandwidth_mib_s(BC))
        # elsewhere, or later, is no sharing
        self.add(passage(60), passage(62, CD), passage(70))
        self.assertEqual(100.0, self.book.bandwidth_mib_s(AB))

    def test_a_limit_tells_of_the_link_only_what_stays_below_it(self):
        for at in (0, 20, 40):
            self.add(passage(at, limit_mib_s=105.0))
        self.assertIsNone(self.book.bandwidth_mib_s(AB))
        self.add(passage(60, limit_mib_s=200.0), passage(80))
        self.assertEqual(100.0, self.book.bandwidth_mib_s(AB))

    def test_who_is_known_to_have_shared_does_not_tell_of_its_link(self):
        for at in (0, 20):
            self.add(passage(at, alone=False))
        self.assertIsNone(self.book.bandwidth_mib_s(AB))

    def test_little_memory_and_what_was_not_seen_tell_nothing(self):
        self.add(
            passage(0, mib=10.0),
            passage(20, mib=10.0),
            passage(40, seconds=None),
            passage(60, seconds=None),
        )
        self.assertIsNone(self.book.bandwidth_mib_s(AB))
