"""What Nova's records of a migration mean, look after look."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer.migration import events
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import vigil

MIB = 1024 * 1024
LIMITS = vigil.Limits(
    appear_seconds=60.0, quiet_seconds=300.0, settle_seconds=30.0
)
STATUSES = (
    'accepted',
    'queued',
    'preparing',
    'running',
    'running (post-copy)',
    'post-migrating',
    'completed',
    'failed',
    'error',
    'cancelled',
    'a word of a later release',
)


def server(host='cmp1', task='migrating', **changes):
    return records.Server('vm', 'web', host, 'ACTIVE', task, **changes)


def migration(status, **changes):
    return records.Migration(7, 'u7', 'vm', status, 'cmp1', 'cmp2', **changes)


class VigilTest(unittest.TestCase):
    def setUp(self):
        self.vigil = vigil.Vigil('cmp1', 'cmp2', LIMITS, 0.0)

    def look(self, at, there, found):
        return self.vigil.look(vigil.Sight(at, there, found))

    def end(self, told):
        (event,) = told
        self.assertIsInstance(event, events.CallReturned)
        self.assertTrue(self.vigil.over)
        return event.error

    def test_accepted_is_not_done(self):
        """No word of Nova's before the last ends the vigil."""
        for at, status in enumerate(('accepted', 'queued', 'preparing')):
            self.assertEqual(
                (), self.look(float(at), server(), migration(status))
            )
            self.assertEqual(vigil.Phase.WAITING, self.vigil.phase)

    def test_success_needs_server_and_migration_together(self):
        """A migration is over when its server has moved and is idle."""
        done = migration('completed')
        self.assertEqual((), self.look(1.0, server('cmp2'), done))
        self.assertEqual((), self.look(2.0, server('cmp1', ''), done))
        self.assertEqual(
            '', self.end(self.look(3.0, server('cmp2', ''), done))
        )

    def test_records_that_never_agree_are_told(self):
        """Completed, and the server stays where it was: not a success."""
        done = migration('completed')
        self.look(1.0, server('cmp1', ''), done)
        error = self.end(self.look(31.0, server('cmp1', ''), done))
        self.assertIn('still on cmp1', error)

    def test_a_task_that_never_ends_is_told(self):
        self.look(1.0, server(), migration('failed'))
        error = self.end(self.look(31.0, server(), migration('failed')))
        self.assertIn('failed', error)

    def test_a_failure_says_what_to_do_about_a_server_in_error(self):
        there = dataclasses.replace(
            server('cmp1', ''), status='ERROR', fault='libvirt said no'
        )
        error = self.end(self.look(1.0, there, migration('error')))
        self.assertIn('libvirt said no', error)
        self.assertIn('openstack server set --state active vm', error)

    def test_a_migration_that_never_appears_is_given_up(self):
        self.assertEqual((), self.look(59.0, server('cmp1', ''), None))
        error = self.end(self.look(60.0, server('cmp1', ''), None))
        self.assertIn('no record', error)

    def test_one_that_vanishes_from_the_list_is_waited_for(self):
        self.look(1.0, server(), migration('running'))
        self.assertEqual((), self.look(100.0, server(), None))

    def test_figures_become_statistics(self):
        self.look(
            1.0,
            server(),
            migration(
                'running',
                memory_total=100 * MIB,
                memory_processed=50 * MIB,
                memory_remaining=60 * MIB,
            ),
        )
        (event,) = self.look(
            3.0,
            server(),
            migration(
                'running',
                memory_total=100 * MIB,
                memory_processed=150 * MIB,
                memory_remaining=20 * MIB,
            ),
        )
        seen = event.statistics
        self.assertEqual(
            (100.0, 150.0, 20.0, 50.0, 2, 2000.0),
            (
                seen.total_mib,
                seen.transferred_mib,
                seen.remaining_mib,
                seen.bandwidth_mib_s,
                seen.iteration,
                seen.elapsed_ms,
            ),
        )

    def test_no_figures_are_made_up(self):
        """A driver that tells none has no progress, not one of zero."""
        self.assertEqual((), self.look(1.0, server(), migration('running')))

    def test_post_copy_is_told_once(self):
        found = migration('running (post-copy)')
        (event,) = self.look(1.0, server(), found)
        self.assertIsInstance(event, events.PostCopyBegun)
        self.assertEqual((), self.look(2.0, server(), found))

    def test_what_stands_still_is_aborted_and_told(self):
        found = migration('running', updated_at='1')
        self.look(1.0, server(), found)
        self.assertEqual((), self.look(300.0, server(), found))
        error = self.end(self.look(301.0, server(), found))
        self.assertIn('nothing new', error)
        self.assertTrue(self.vigil.abort_due)

    def test_post_copy_that_stands_still_is_never_aborted(self):
        found = migration('running (post-copy)')
        self.look(1.0, server(), found)
        self.end(self.look(301.0, server(), found))
        self.assertFalse(self.vigil.abort_due)

    def test_what_changes_is_waited_for(self):
        for at in range(0, 3000, 200):
            self.look(
                float(at), server(), migration('running', updated_at=str(at))
            )
        self.assertFalse(self.vigil.over)

    def test_a_server_that_was_deleted_ends_it(self):
        self.assertIn('deleted', self.end(self.look(1.0, None, None)))

    def test_a_silent_nova_is_given_up_after_a_while(self):
        self.look(1.0, server(), migration('running'))
        self.assertEqual((), self.vigil.blind(300.0, 'timeout'))
        (event,) = self.vigil.blind(301.0, 'timeout')
        self.assertTrue(event.events_lost)
        self.assertIn('timeout', event.error)

    @hypothesis.given(
        strategies.lists(
            strategies.tuples(
                strategies.sampled_from(STATUSES),
                strategies.sampled_from(('cmp1', 'cmp2')),
                strategies.sampled_from(('', 'migrating')),
            ),
            max_size=12,
        )
    )
    def test_every_story_of_records_comes_to_one_end(self, story):
        """Whatever Nova says, in any order: one end, within bounds."""
        self.setUp()
        told = []
        at = 0.0
        for status, host, task in story:
            at += 1.0
            told += self.look(at, server(host, task), migration(status))
        for _ in range(2):
            at += LIMITS.quiet_seconds
            told += self.vigil.blind(at, 'nobody answers')
        ends = [e for e in told if isinstance(e, events.CallReturned)]
        self.assertEqual(1, len(ends))
        self.assertIs(ends[0], told[-1])
