"""Whatever becomes of Nova's API, a move ends right, and is asked for once."""

import queue
import signal
import time
import uuid

from oslo_config import cfg

from kvm_balancer.conf import opts
from kvm_balancer.lab import services
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from kvm_balancer.virt.nova import driver
from tests.fixtures import http_faults
from tests.openstack import ground
from tests.openstack import proxy

_KIND = outcome.OutcomeKind
_ACTION = r'/servers/[^/]+/action'
#: Of each question, those to Keystone too: more than one takes here.
_TIMEOUT_SECONDS = 30


class FaultCase(ground.CloudCase):
    """A driver that reaches Nova through a proxy."""

    def setUp(self):
        super().setUp()
        self.proxy = self.enterContext(
            proxy.Proxy(self.lab.files.address('nova')).serving()
        )

    def make_driver(self, **options):
        path = self.lab.files.etc / 'faults.conf'
        services.write_configuration(
            path,
            {
                'nova': {
                    **self.lab.files.credentials(),
                    'endpoint_override': f'{self.proxy.url}/v2.1',
                    'timeout': _TIMEOUT_SECONDS,
                    'poll_interval_seconds': 0.5,
                    **options,
                }
            },
        )
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([f'--config-file={path}'], project='kvm_balancer')
        opts.register_found(conf)
        made = driver.NovaDriver.from_conf(conf)
        self.addCleanup(made.close)
        return made

    def fault(self, method, path, kind, **details):
        self.proxy.faults.append(
            http_faults.Fault(method, path, kind, **{'status': 503, **details})
        )

    def begin(self, uid, destination='cmp2', **options):
        """Begin a migration; return who runs it."""
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=uid,
            source='cmp1',
            destination=destination,
            destination_uri='',
            accepted_at=time.time(),
            owner='nova',
        )
        self.ended = queue.SimpleQueue()
        runner = migrations.MigrationRunner(
            self.make_driver(**options),
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            self.ended.put,
        )
        self.addCleanup(runner.leave)
        runner.start()
        return runner

    def outcome(self):
        return self.ended.get(timeout=ground.PATIENCE_SECONDS)

    def assert_asked_once(self, uid):
        """Nova was asked for one migration, and has a record of one."""
        self.assertEqual(
            1, self.proxy.count(self.proxy.passed, 'POST', _ACTION)
        )
        self.assertEqual(1, len(self.records(uid)))


class AnswersTest(FaultCase):
    """What becomes of the answers of the API."""

    def test_a_lost_answer_is_made_up_for_by_the_records(self):
        self.assert_made_up_for('lose')

    def test_an_answer_that_does_not_come_is_not_waited_for_for_long(self):
        """And made up for, as if it were lost."""
        self.assert_made_up_for('hang')

    def assert_made_up_for(self, kind):
        (uid,) = self.boot('cmp1')
        self.fault('POST', _ACTION, kind)
        self.begin(uid)
        ended = self.outcome()
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assert_asked_once(uid)
        self.assert_records_agree()

    def test_what_never_reached_nova_fails_and_is_not_repeated(self):
        for kind, details in (('drop', {}), ('status', {'status': 504})):
            with self.subTest(kind):
                (uid,) = self.boot('cmp1')
                self.proxy.asked.clear()
                self.fault('POST', _ACTION, kind, **details)
                self.begin(uid, appear_seconds=2.0)
                ended = self.outcome()
                self.assertEqual(_KIND.FAILED, ended.outcome, ended.reason)
                self.assertEqual(
                    1, self.proxy.count(self.proxy.asked, 'POST', _ACTION)
                )
                self.assertEqual([], self.records(uid))
        self.assert_records_agree()

    def test_a_refusal_is_told(self):
        (uid,) = self.boot('cmp1')
        self.fault('POST', _ACTION, 'status', status=409)
        self.begin(uid)
        ended = self.outcome()
        self.assertEqual(_KIND.FAILED, ended.outcome)
        self.assertIn('a fault', ended.reason)
        self.assert_records_agree()

    def test_an_expired_token_is_renewed_and_one_migration_made(self):
        """Whoever is answered 401 was not heard, and may ask again."""
        (uid,) = self.boot('cmp1')
        self.fault('POST', _ACTION, 'expire')
        self.fault('GET', 'os-migrations', 'expire')
        self.begin(uid)
        ended = self.outcome()
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assertEqual(1, len(self.records(uid)))
        self.assert_records_agree()


class CloudTest(FaultCase):
    """What becomes of Nova itself while it moves a server."""

    def begin_endless(self, **options):
        """Begin a migration that never ends by itself."""
        uid = self.ask_for('cmp1', lab_migrate='hang')
        self.wait_until_active(uid)
        runner = self.begin(uid, **options)
        self.wait_until_under_way(uid)
        return uid, runner

    def test_one_that_is_stuck_is_aborted_and_told(self):
        uid, _ = self.begin_endless(stuck_seconds=10.0)
        ended = self.outcome()
        self.assertEqual(_KIND.FAILED, ended.outcome, ended.reason)
        self.assertIn('nothing new', ended.reason)
        self.assert_asked_once(uid)
        self.assertEqual('cmp1', self.places()[uid])
        self.assert_records_agree()

    def test_a_cancel_is_sent_once_and_seen_through(self):
        _, runner = self.begin_endless()
        runner.cancel('an operator')
        ended = self.outcome()
        self.assertEqual(_KIND.CANCELLED, ended.outcome, ended.reason)
        self.assertEqual(
            1, self.proxy.count(self.proxy.passed, 'DELETE', 'migrations')
        )
        self.assert_records_agree()

    def test_reads_that_fail_for_a_while_do_no_harm(self):
        uid, _ = self.begin_endless()
        self.fault('GET', 'os-migrations', 'status', status=500, times=2)
        self.fault('GET', 'os-migrations', 'lose', times=2)
        self.fault('GET', r'/servers/[^/]+$', 'drop', times=2)
        self.wait_for(
            lambda: not any(one.times for one in self.proxy.faults),
            'all reads that are to fail',
        )
        self.complete(uid)
        ended = self.outcome()
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assert_asked_once(uid)
        self.assert_records_agree()

    def test_an_api_that_is_started_anew_is_waited_for(self):
        uid, _ = self.begin_endless()
        self.lab.stop('nova')
        asked = len(self.proxy.asked)
        self.wait_for(
            lambda: len(self.proxy.asked) > asked + 2, 'looks in vain'
        )
        self.lab.control.start_api()
        self.lab.control.wait_for('nova')
        self.complete(uid)
        ended = self.outcome()
        self.assertEqual(_KIND.COMPLETED, ended.outcome, ended.reason)
        self.assert_asked_once(uid)
        self.assert_records_agree()

    def test_a_source_that_goes_down_is_not_waited_for_without_end(self):
        """Nova's records stand still; they are told, and nothing is asked."""
        self.begin_endless(stuck_seconds=10.0)
        self.addCleanup(self.bring_back)
        self.lab.processes.signal('compute-cmp1', signal.SIGKILL)
        ended = self.outcome()
        self.assertIn(
            ended.outcome, (_KIND.UNKNOWN, _KIND.FAILED), ended.reason
        )
        self.assertEqual(
            1, self.proxy.count(self.proxy.passed, 'POST', _ACTION)
        )

    def bring_back(self):
        self.lab.start_compute('cmp1')
        self.wait_for(
            lambda: all(
                one.state == 'up'
                for one in self.compute.services(binary='nova-compute')
            ),
            'cmp1 to be back',
        )
