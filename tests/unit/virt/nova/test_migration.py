"""Migrations through Nova's API, over HTTP, and all that may go wrong."""

from unittest import mock

from kvm_balancer import errors
from kvm_balancer.model import outcome
from kvm_balancer.virt.nova import carrier
from tests.fixtures import pauses
from tests.unit.virt.nova import base

_KIND = outcome.OutcomeKind
_ACTION = r'/servers/[^/]+/action'


class MigrationTest(base.NovaCase):
    def test_a_migration_is_watched_to_its_end(self):
        begun = self.begin()
        self.wait_for_record()
        with self.nova.lock:
            self.nova.run(self.uid)
            self.nova.complete(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        (body,) = [
            body
            for method, path, body in self.nova.requests
            if method == 'POST'
        ]
        self.assertEqual(
            {'os-migrateLive': {'host': 'cmp2', 'block_migration': 'auto'}},
            body,
        )

    def test_a_failed_migration_says_what_nova_said(self):
        begun = self.begin()
        self.wait_for_record()
        with self.nova.lock:
            self.nova.fail(self.uid, 'error', why='no NUMA node fits')
        ended = self.outcome(begun)
        self.assertEqual(_KIND.FAILED, ended.outcome)
        self.assertIn('no NUMA node fits', ended.reason)

    def test_a_failure_that_nova_does_not_tell_is_one_all_the_same(self):
        begun = self.begin()
        self.wait_for_record()
        self.fault('GET', 'os-instance-actions', status=403, times=9)
        with self.nova.lock:
            self.nova.fail(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.FAILED, ended.outcome)
        self.assertIn('log of nova-compute on cmp1', ended.reason)

    def test_a_cancel_is_sent_once_and_seen_through(self):
        begun = self.begin()
        self.wait_for_record()
        begun[0].cancel('an operator')
        ended = self.outcome(begun)
        self.assertEqual(_KIND.CANCELLED, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('DELETE', 'migrations'))

    def test_a_cancel_that_comes_too_early_is_made_up_for(self):
        """What was only accepted Nova cannot abort: it is asked later."""
        begun = self.begin()
        self.wait_for_record()
        with self.nova.lock:
            self.nova.migration(self.uid)['status'] = 'accepted'
        begun[0].cancel('an operator')
        looks = self.nova.sent('GET', 'os-migrations')
        self.wait_for(
            lambda: self.nova.sent('GET', 'os-migrations') > looks + 3, 'looks'
        )
        self.assertEqual(0, self.nova.sent('DELETE', 'migrations'))
        with self.nova.lock:
            self.nova.run(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.CANCELLED, ended.outcome, ended.reason)

    def test_a_refusal_is_the_reason(self):
        self.fault('POST', _ACTION, status=409)
        ended = self.outcome(self.begin())
        self.assertEqual(_KIND.FAILED, ended.outcome)
        self.assertIn('a fault', ended.reason)

    def test_one_that_was_just_enabled_is_waited_for(self):
        """Its mark in Placement goes a moment after its service is enabled."""
        self.nova.marked.add('cmp2')
        begun = self.begin()
        self.wait_for(
            lambda: self.nova.sent('GET', 'allocation_candidates') > 4, 'looks'
        )
        self.assertEqual(0, self.nova.sent('POST', _ACTION))
        with self.nova.lock:
            self.nova.marked.clear()
        self.wait_for_record()
        with self.nova.lock:
            self.nova.complete(self.uid)
        self.assertEqual(_KIND.COMPLETED, self.outcome(begun).outcome)

    def test_one_that_stays_marked_is_waited_for_no_longer(self):
        self.nova.marked.add('cmp2')
        with mock.patch.object(carrier, '_MARKED_SECONDS', 0.3):
            ended = self.outcome(self.begin())
        self.assertEqual(_KIND.FAILED, ended.outcome)
        self.assertIn('marked as disabled', ended.reason)
        self.assertEqual(0, self.nova.sent('POST', _ACTION))

    def test_what_cannot_be_is_not_asked(self):
        """Each check names what stands in the way, and nothing is sent."""
        table = (
            (lambda n: n.servers[self.uid].update(locked=True), 'locked'),
            (
                lambda n: n.servers[self.uid].update(
                    {'OS-EXT-STS:task_state': 'rebooting'}
                ),
                'rebooting',
            ),
            (
                lambda n: n.servers[self.uid].update(status='SHUTOFF'),
                'SHUTOFF',
            ),
            (
                lambda n: n.servers[self.uid].update(
                    {'OS-EXT-SRV-ATTR:host': 'cmp2'}
                ),
                'not on cmp1',
            ),
            (lambda n: n.services['cmp2'].update(state='down'), 'is down'),
            (
                lambda n: n.services['cmp2'].update(
                    status='disabled', disabled_reason='for a disk'
                ),
                'for a disk',
            ),
            (lambda n: n.full.add('cmp2'), 'no allocation candidate'),
            (lambda n: n.servers.pop(self.uid), 'has no server'),
        )
        for change, said in table:
            with self.subTest(said):
                self.setUp()
                change(self.nova)
                ended = self.outcome(self.begin())
                self.assertEqual(_KIND.FAILED, ended.outcome)
                self.assertIn(said, ended.reason)
                self.assertEqual(0, self.nova.sent('POST', _ACTION))


class FaultsTest(base.NovaCase):
    """Faults of the API: bounded waiting, the right end, nothing twice."""

    def test_a_wish_whose_answer_is_lost_is_not_repeated(self):
        """However the answer is lost, the records tell what came of it."""
        for kind, details in (
            ('lose', {}),
            ('hang', {}),
            ('status', {'status': 504}),
            ('garbage', {}),
        ):
            with self.subTest(kind):
                self.setUp()
                done = kind == 'lose'
                self.fault('POST', _ACTION, kind, **details)
                made = self.make_driver(appear_seconds=1.0)
                begun = self.begin(made)
                if done:
                    self.wait_for_record()
                    with self.nova.lock:
                        self.nova.complete(self.uid)
                ended = self.outcome(begun)
                self.assertEqual(
                    _KIND.COMPLETED if done else _KIND.FAILED,
                    ended.outcome,
                    ended.reason,
                )
                self.assertEqual(1, self.nova.sent('POST', _ACTION))

    def test_an_api_that_fails_for_a_while_does_no_harm(self):
        begun = self.begin()
        self.wait_for_record()
        broken = (
            self.fault('GET', 'os-migrations', status=500, times=3),
            self.fault('GET', r'/servers/[^/]+$', 'drop', times=2),
            self.fault('GET', r'/servers/[^/]+$', 'garbage', times=2),
        )
        self.wait_for(lambda: not any(f.times for f in broken), 'the faults')
        with self.nova.lock:
            self.nova.complete(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))

    def test_a_migration_that_is_stuck_is_aborted_and_told(self):
        begun = self.begin(self.impatient())
        self.wait_for_record()
        with self.nova.lock:
            self.nova.run(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.FAILED, ended.outcome, ended.reason)
        self.assertIn('nothing new', ended.reason)
        self.assertEqual(1, self.nova.sent('DELETE', 'migrations'))

    def impatient(self, **options):
        """Make a driver that does not wait for long."""
        made = self.make_driver(**options)
        made._params = made._params.__class__(
            poll_seconds=0.1,
            limits=made._params.limits.__class__(
                quiet_seconds=1.0, settle_seconds=1.0
            ),
        )
        return made

    def test_an_api_that_is_started_anew_is_waited_for(self):
        begun = self.begin()
        self.wait_for_record()
        with self.nova.lock:
            self.nova.run(self.uid)
        port = self.nova.close()
        with self.nova.lock:
            self.nova.complete(self.uid)
        self.nova.open(port)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))

    def test_an_api_that_stays_away_leaves_it_unknown(self):
        """Nobody waits for ever, and nobody says what nobody knows."""
        self.enterContext(pauses.short())
        begun = self.begin(self.impatient())
        self.wait_for_record()
        with self.nova.lock:
            self.nova.run(self.uid)
        port = self.nova.close()
        ended = self.outcome(begun)
        self.nova.open(port)
        self.assertEqual(_KIND.UNKNOWN, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))

    def test_a_compute_that_goes_down_in_the_middle_is_not_waited_for(self):
        """Nova takes the abort on, and nobody is there to carry it out."""
        self.enterContext(pauses.short())
        begun = self.begin(self.impatient())
        self.wait_for_record()
        self.fault('DELETE', 'migrations', status=202, times=9)
        with self.nova.lock:
            self.nova.run(self.uid)
            self.nova.services['cmp1'].update(state='down')
        ended = self.outcome(begun)
        self.assertEqual(_KIND.UNKNOWN, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))
        self.assertEqual(1, self.nova.sent('DELETE', 'migrations'))

    def test_credentials_that_are_refused_are_no_second_wish(self):
        self.fault('POST', _ACTION, status=401)
        ended = self.outcome(self.begin(self.make_driver(appear_seconds=1.0)))
        self.assertEqual(_KIND.FAILED, ended.outcome, ended.reason)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))

    def test_records_that_contradict_each_other_are_unknown(self):
        """Completed on paper, and the server where it was: a person looks."""
        made = self.make_driver()
        made._params = made._params.__class__(
            poll_seconds=0.1,
            limits=made._params.limits.__class__(settle_seconds=0.5),
        )
        self.enterContext(pauses.short())
        begun = self.begin(made)
        self.wait_for_record()
        with self.nova.lock:
            self.nova.complete(self.uid, moved=False)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.UNKNOWN, ended.outcome, ended.reason)

    def test_an_earlier_run_s_migration_is_taken_up_not_repeated(self):
        with self.nova.lock:
            self.nova.ask(self.uid, 'cmp2')
        begun = self.begin(adopt=True)
        self.wait_for(
            lambda: self.nova.sent('GET', 'os-migrations') > 2, 'looks'
        )
        with self.nova.lock:
            self.nova.complete(self.uid)
        ended = self.outcome(begun)
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assertEqual(0, self.nova.sent('POST', _ACTION))


class ForceCompleteTest(base.NovaCase):
    """``running (post-copy)`` is hidden from two of Nova's calls."""

    def force(self, force_complete='post-copy'):
        made = self.make_driver(force_complete=force_complete)
        told = []
        carrier = made.carrier(self.request(post_copy=True), told.append)
        self.addCleanup(carrier.close)
        with self.nova.lock:
            self.nova.answer(
                'POST',
                f'/v2.1/servers/{self.uid}/action',
                {},
                {'os-migrateLive': {'host': 'cmp2'}},
            )
            self.nova.run(self.uid)
        carrier._force_complete()
        return carrier

    def test_it_is_sent_once_even_when_it_is_wished_twice(self):
        carrier = self.force()
        carrier._force_complete()
        self.assertEqual(1, self.nova.sent('POST', r'/migrations/\d+/action'))

    def test_after_it_there_is_no_abort(self):
        carrier = self.force()
        with self.assertRaisesRegex(errors.CloudError, 'no way back'):
            carrier._abort()
        self.assertEqual(0, self.nova.sent('DELETE', 'migrations'))

    def test_it_is_not_used_where_the_operator_did_not_say_so(self):
        with self.assertRaisesRegex(errors.CloudError, 'force_complete'):
            self.force('never')
        self.assertEqual(0, self.nova.sent('POST', r'/migrations/\d+/action'))
