"""Both ends of a migration, as Nova's records have them."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import arbiter
from kvm_balancer.model import outcome
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import ends

_STATE = events.EndState
_KIND = outcome.OutcomeKind


def read(status, host, task='', power=1, there=True):
    server = records.Server('vm', 'web', host, 'ACTIVE', task, power)
    found = None
    if status:
        found = records.Migration(7, 'u', 'vm', status, 'cmp1', 'cmp2')
    return ends.read('cmp1', 'cmp2', server if there else None, found)


class EndsTest(unittest.TestCase):
    def test_the_verdict_follows_where_the_server_is(self):
        """What Nova's two records mean together, in a table."""
        table = (
            # status, host, task state, power state, verdict
            ('completed', 'cmp2', '', 1, _KIND.COMPLETED),
            ('completed', 'cmp2', '', 3, _KIND.COMPLETED),
            ('completed', 'cmp1', '', 1, _KIND.UNKNOWN),
            ('failed', 'cmp1', '', 1, _KIND.FAILED),
            ('cancelled', 'cmp1', '', 1, _KIND.FAILED),
            ('error', 'cmp1', '', 1, _KIND.FAILED),
            ('error', 'cmp2', '', 1, _KIND.COMPLETED),
            ('', 'cmp1', '', 1, _KIND.FAILED),
            ('running', 'cmp1', 'migrating', 1, _KIND.UNKNOWN),
            ('running (post-copy)', 'cmp1', 'migrating', 1, _KIND.UNKNOWN),
            ('completed', 'cmp9', '', 1, _KIND.UNKNOWN),
            ('completed', '', '', 1, _KIND.UNKNOWN),
            ('failed', 'cmp1', '', 0, _KIND.UNKNOWN),
        )
        for status, host, task, power, wanted in table:
            with self.subTest(status=status, host=host, task=task):
                source, destination = read(status, host, task, power)
                verdict = arbiter.judge(
                    source, destination, arbiter.Known(True, False, False)
                )
                self.assertEqual(wanted, verdict.outcome)

    def test_a_migration_under_way_holds_the_instance(self):
        source, destination = read('running', 'cmp1', 'migrating')
        self.assertTrue(source.job_active)
        self.assertEqual(
            arbiter.UNDER_WAY,
            arbiter.judge(
                source, destination, arbiter.Known(False, False, False)
            ),
        )

    def test_post_copy_is_on_both_ends(self):
        for end in read('running (post-copy)', 'cmp1', 'migrating'):
            self.assertEqual(_STATE.POST_COPY, end.state)

    def test_a_deleted_server_is_nowhere(self):
        source, destination = read('running', 'cmp1', there=False)
        self.assertEqual(
            (_STATE.ABSENT, _STATE.ABSENT), (source.state, destination.state)
        )
