"""Who shared a host is found, whatever the order, and nobody else."""

import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.migration.foresight import sharing

_times = st.integers(0, 20)


def use(name, began, ended, hosts=('a', 'b')):
    return sharing.Use(name, hosts, began, ended)


class SharingTest(unittest.TestCase):
    def test_who_meets_at_a_host_shares_it(self):
        found = sharing.sharing(
            [
                use('first', 0, 10),
                use('second', 9, 12, ('b', 'c')),
                use('elsewhere', 9, 12, ('d', 'e')),
                use('after it', 12, 20, ('a', 'c')),
            ]
        )
        self.assertEqual({'first', 'second'}, found)

    def test_one_that_runs_shares_with_all_that_began_since(self):
        runs = use('runs', 5, float('inf'))
        found = sharing.sharing([use('before', 0, 5), use('1', 8, 9), runs])
        self.assertEqual({'runs', '1'}, found)

    @hypothesis.given(
        st.lists(
            st.tuples(
                _times,
                st.integers(1, 9),
                st.sampled_from('abcd'),
                st.sampled_from('efgh'),
            ),
            max_size=12,
        )
    )
    def test_it_is_as_if_each_were_held_against_each(self, rows):
        uses = [
            use(f'{number}', began, began + lasts, ends)
            for number, (began, lasts, *ends) in enumerate(rows)
        ]
        expected = {
            one.migration_id
            for one in uses
            for other in uses
            if one is not other
            and set(one.hosts) & set(other.hosts)
            and one.began_at < other.ended_at
            and other.began_at < one.ended_at
        }
        self.assertEqual(expected, sharing.sharing(uses))
