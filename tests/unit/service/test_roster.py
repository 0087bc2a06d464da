"""How many migrations away from a host are under way, and of what."""

import unittest
from unittest import mock

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.service import roster
from kvm_balancer.service import unattended


def _runner(name):
    wanted = request.Request(
        migration_id=name,
        instance=f'instance of {name}',
        source='here',
        destination='there',
        destination_uri='',
        accepted_at=0.0,
    )
    made = mock.create_autospec(unattended.Unattended, instance=True)
    made.request = wanted
    return made


class RosterTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.roster = roster.Roster('here', max_outgoing=1)

    def is_full(self):
        try:
            self.roster.refuse_more('another instance')
        except errors.MigrationError as error:
            self.assertIn('max_outgoing', str(error))
            return True
        return False

    def test_what_is_unknown_is_not_counted_until_it_runs_on(self):
        self.roster.put(_runner('one'))
        self.assertTrue(self.is_full())
        self.roster.doubt('one')
        for state, full in (
            ('unknown', False),
            ('verifying', False),
            ('pre-copy', True),
            ('verifying', True),
            # It is not told a second time.
            ('unknown', False),
            ('recovering', False),
            ('post-copy', True),
        ):
            with self.subTest(state):
                self.roster.stand('one', state)
                self.assertEqual(full, self.is_full())

    def test_what_was_told_by_an_earlier_run_is_not_counted_either(self):
        self.roster.put(_runner('one'), unknown=True)
        self.assertFalse(self.is_full())
        self.roster.stand('one', 'switchover')
        self.assertTrue(self.is_full())

    def test_what_was_never_told_to_be_unknown_is_counted(self):
        self.roster.put(_runner('one'))
        self.roster.stand('one', 'unknown')
        self.assertTrue(self.is_full())

    def test_what_has_ended_leaves_nothing(self):
        self.roster.put(_runner('one'))
        self.roster.doubt('one')
        self.roster.drop('one')
        self.roster.put(_runner('one'))
        self.roster.stand('one', 'unknown')
        self.assertTrue(self.is_full())

    def test_a_second_one_of_an_instance_is_refused_also_where_unknown(self):
        self.roster.put(_runner('one'))
        with self.assertRaisesRegex(errors.MigrationError, 'one already$'):
            self.roster.refuse_more('instance of one')
        self.roster.doubt('one')
        with self.assertRaisesRegex(errors.MigrationError, '--unknown'):
            self.roster.refuse_more('instance of one')
        self.assertFalse(self.roster.is_free('instance of one'))
