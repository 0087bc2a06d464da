"""Migrations share what a host carries, and leave none of it unused."""

import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration import bandwidth

CAPACITY = st.floats(1.0, 1e5)
CAPS = st.dictionaries(
    st.text('abcdefgh', min_size=1, max_size=3),
    st.just(0.0) | st.floats(1.0, 1e5),
    min_size=1,
    max_size=12,
)


class TestShares(unittest.TestCase):
    def test_table(self):
        """An equal share for all, but for those that cannot use theirs."""
        table = (
            ('nobody', 100.0, {}, {}),
            ('one', 100.0, {'a': 0.0}, {'a': 100.0}),
            ('one with a limit', 100.0, {'a': 30.0}, {'a': 30.0}),
            ('two', 100.0, {'a': 0.0, 'b': 0.0}, {'a': 50.0, 'b': 50.0}),
            ('one small', 100.0, {'a': 20.0, 'b': 0.0}, {'a': 20, 'b': 80}),
            (
                'one small of three',
                90.0,
                {'a': 10.0, 'b': 60.0, 'c': 0.0},
                {'a': 10.0, 'b': 40.0, 'c': 40.0},
            ),
        )
        for name, capacity, caps, wanted in table:
            with self.subTest(name):
                self.assertEqual(wanted, bandwidth.shares(capacity, caps))

    @hypothesis.given(CAPACITY, CAPS)
    def test_no_more_than_there_is_and_all_that_is_wanted(
        self, capacity, caps
    ):
        got = bandwidth.shares(capacity, caps)
        self.assertEqual(caps.keys(), got.keys())
        self.assertLessEqual(sum(got.values()), capacity * (1 + 1e-9))
        wanted = sum(cap or capacity for cap in caps.values())
        self.assertGreaterEqual(
            sum(got.values()), min(capacity, wanted) * (1 - 1e-9)
        )
        for name, cap in caps.items():
            self.assertLessEqual(got[name], cap or capacity)

    @hypothesis.given(CAPACITY, CAPS)
    def test_only_who_is_content_gets_less_than_another(self, capacity, caps):
        got = bandwidth.shares(capacity, caps)
        most = max(got.values())
        for name, share in got.items():
            if share < most * (1 - 1e-9):
                self.assertEqual(caps[name], share)


class TestLimits(unittest.TestCase):
    def test_table(self):
        """One alone is limited by itself at most; a limit is never none."""
        table = (
            ('alone', 100.0, {'a': 0.0}, {'a': 0}),
            ('alone, wants more than stated', 100.0, {'a': 200.0}, {'a': 200}),
            ('two', 101.0, {'a': 0.0, 'b': 0.0}, {'a': 50, 'b': 50}),
            ('hardly any', 1.0, {'a': 0.0, 'b': 0.0}, {'a': 1, 'b': 1}),
            ('a crumb', 100.0, {'a': 0.4}, {'a': 1}),
        )
        for name, capacity, caps, wanted in table:
            with self.subTest(name):
                self.assertEqual(wanted, bandwidth.limits(capacity, caps))
