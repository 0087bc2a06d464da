"""A stream begins where others leave enough of the network, as far as told."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from kvm_balancer.migration import events
from kvm_balancer.migration import headroom

Verdict = events.Verdict

#: Of 100 MiB/s, 5 have to be free.
TERMS = headroom.Terms(stated_mib_s=100.0)


def seen(mib_s, speed=None, migrations=0):
    return headroom.Traffic('eth1', mib_s, speed, migrations)


def verdict(traffic, caps=(), limit=0.0, terms=TERMS):
    return headroom.check(headroom.SOURCE, traffic, terms, caps, limit).verdict


class HeadroomTest(unittest.TestCase):
    def test_what_others_send_decides(self):
        for name, traffic, caps, limit, expected in (
            ('idle', seen(0.0), (), 0.0, Verdict.PASSED),
            ('just enough', seen(95.0), (), 0.0, Verdict.PASSED),
            ('too busy', seen(95.1), (), 0.0, Verdict.FAILED),
            ('a slow interface', seen(95.0, 96.0), (), 0.0, Verdict.FAILED),
            ('a fast interface', seen(95.0, 900.0), (), 0.0, Verdict.PASSED),
            ('faster than stated', seen(120.0), (), 0.0, Verdict.FAILED),
            ('it needs little', seen(97.0), (), 2.0, Verdict.PASSED),
            ('it needs less', seen(99.0), (), 2.0, Verdict.FAILED),
            ('perhaps ours', seen(99.0), (0.0,), 0.0, Verdict.UNKNOWN),
            ('ours may use half', seen(99.0), (50.0,), 0.0, Verdict.UNKNOWN),
            ('ours uses less', seen(99.0), (2.0,), 0.0, Verdict.FAILED),
            ('ours leaves enough', seen(60.0), (50.0,), 0.0, Verdict.PASSED),
            ('one nobody asked for', seen(99.0, None, 1), (), 0.0, None),
            ('and one of ours', seen(99.0, None, 2), (2.0,), 0.0, None),
            ('the one of ours', seen(99.0, None, 1), (2.0,), 0.0, 'failed'),
        ):
            with self.subTest(name):
                expected = expected or Verdict.UNKNOWN
                self.assertEqual(expected, verdict(traffic, caps, limit))

    def test_it_is_told_with_figures_and_what_to_do(self):
        told = headroom.check(headroom.DESTINATION, seen(97.25), TERMS)
        self.assertEqual('bandwidth', told.name)
        for words in ('97.2 of 100 MiB/s go over eth1', '2.8 MiB/s are free'):
            self.assertIn(words, told.reason)
        self.assertIn('needs 5.0', told.reason)
        self.assertIn('migration_free_percent', told.remedy)

    def test_what_is_not_known_fails_nothing(self):
        nobody = headroom.Terms()
        for traffic, terms, words in (
            (headroom.Traffic(trouble='no way'), TERMS, 'no way'),
            (seen(99.0), nobody, 'does not tell how much it carries'),
        ):
            told = headroom.check(headroom.SOURCE, traffic, terms)
            self.assertEqual(Verdict.UNKNOWN, told.verdict)
            self.assertIn(words, told.reason)
            self.assertTrue(told.remedy)

    def test_nothing_has_to_be_free_where_nobody_asks_for_it(self):
        terms = headroom.Terms(100.0, 0.0)
        self.assertEqual(Verdict.PASSED, verdict(seen(100.0), terms=terms))

    @given(
        st.floats(0.0, 200.0),
        st.lists(st.floats(0.0, 100.0), max_size=3),
        st.floats(0.0, 50.0),
    )
    def test_a_migration_of_ours_never_makes_it_fail(self, mib_s, caps, more):
        """What it uses is no traffic of others."""
        before = verdict(seen(mib_s), caps)
        after = verdict(seen(mib_s + more), [*caps, more])
        if before is not Verdict.FAILED:
            self.assertIsNot(Verdict.FAILED, after)


class DepartedTest(unittest.TestCase):
    def test_what_ended_a_moment_ago_is_still_seen(self):
        made = headroom.Departed()
        made.note('a', 3.0, 10.0)
        made.note('b', 0.0, 12.0)
        self.assertEqual({'a': 3.0, 'b': 0.0}, made.caps_mib_s(13.0))
        self.assertEqual({'b': 0.0}, made.caps_mib_s(14.5))
        self.assertEqual({}, made.caps_mib_s(20.0))
