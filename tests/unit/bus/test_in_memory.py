"""Without a broker, inside one process: as the demo runs."""

import queue
import threading
import unittest
from unittest import mock
import uuid

import oslo_messaging

from kvm_balancer import errors
from kvm_balancer.bus import notifications
from kvm_balancer.bus import progress
from kvm_balancer.bus import rpc
from kvm_balancer.bus import samples
from kvm_balancer.bus import transport
from tests.fixtures import transports

PATIENCE = 60.0


class TestInMemory(unittest.TestCase):
    """Everything travels over fake:// and memory://."""

    def setUp(self):
        super().setUp()
        self.conf = transports.configured('fake://')
        # The in-memory transports are those of the whole process.
        self.conf.set_override('control_exchange', uuid.uuid4().hex)

    def read(self, make):
        """Run a reader in a thread; return the queue of its batches."""
        got = queue.Queue()
        reader = make(self.conf, got.put)
        stop = threading.Event()
        thread = threading.Thread(target=reader.run, args=(stop,))
        thread.start()
        self.addCleanup(thread.join, PATIENCE)
        self.addCleanup(stop.set)
        self.assertTrue(reader.ready.wait(PATIENCE))
        return got

    def test_what_was_never_started_is_not_waited_for(self):
        """A program may be told to end while it waits for the broker."""
        with self.assertNoLogs('kvm_balancer.bus.closing', 'WARNING'):
            rpc.Server(self.conf, 'topic', 'here', {}).stop(5.0)
            notifications.OutcomeListener(self.conf, dict).stop(5.0)

    def test_samples_and_progress_travel(self):
        """Both streams bring what was sent."""
        for make, publisher, sent, body in (
            (
                samples.reader,
                samples.Publisher(self.conf, 'host-1'),
                b'[1]',
                b'[1]',
            ),
            (
                progress.reader,
                progress.Publisher(self.conf, 'host-1'),
                {'a': 1},
                b'{"a":1}',
            ),
        ):
            with self.subTest(make.__module__):
                got = self.read(make)
                self.assertTrue(publisher.publish(sent))
                # The queues are those of the process: executors of other
                # tests have left there what they sent.
                while body not in got.get(timeout=PATIENCE):
                    pass
                publisher.close()

    def test_outcomes_travel(self):
        """Sent before anybody listens, they come all the same."""
        publisher = notifications.OutcomePublisher(self.conf, 'host-1')
        publisher.publish({'n': 1})
        got = queue.Queue()
        listener = notifications.OutcomeListener(self.conf, got.put)
        listener.start()
        self.addCleanup(listener.stop)
        self.assertEqual({'n': 1}, got.get(timeout=PATIENCE))

    def test_what_the_agent_tells_comes_to_others_and_not_to_itself(self):
        got, others = queue.Queue(), queue.Queue()
        for take, pool in ((got.put, None), (others.put, 'others')):
            listener = notifications.OutcomeListener(self.conf, take, pool)
            listener.start()
            self.addCleanup(listener.stop)
        for number, host in enumerate((None, 'host-1')):
            publisher = notifications.OutcomePublisher(self.conf, host)
            self.addCleanup(publisher.close)
            publisher.publish({'n': number})
        self.assertEqual(
            [{'n': 0}, {'n': 1}],
            [others.get(timeout=PATIENCE) for _ in range(2)],
        )
        self.assertEqual({'n': 1}, got.get(timeout=PATIENCE))

    def test_of_a_refused_outcome_id_and_reason_are_logged(self):
        """Its story may be long, and is of somebody else's making."""
        publisher = notifications.OutcomePublisher(self.conf, 'host-1')
        refused = threading.Event()

        def take(payload):
            if 'story' in payload:
                raise errors.DocumentError('ended_at is missing')
            refused.set()

        log = 'kvm_balancer.bus.notifications'
        with self.assertLogs(log, 'ERROR') as logged:
            listener = notifications.OutcomeListener(self.conf, take)
            listener.start()
            self.addCleanup(listener.stop)
            publisher.publish({'migration_id': 'm-1', 'story': 'long'})
            publisher.publish({})
            self.assertTrue(refused.wait(PATIENCE))
        self.assertEqual(
            "The outcome of migration 'm-1' was refused: ended_at is missing",
            logged.records[0].getMessage(),
        )

    def test_calls_are_answered(self):
        """With what the method returns, or what it raises."""

        def refuse():
            raise errors.NotFound('there is no such plan')

        def fail():
            raise ZeroDivisionError('by zero')

        server = rpc.Server(
            self.conf,
            rpc.AGENT_TOPIC,
            'agent-1',
            {'echo': lambda **said: said, 'refuse': refuse, 'fail': fail},
        )
        server.start()
        self.addCleanup(server.stop)
        caller = rpc.AgentCaller(self.conf)
        self.addCleanup(caller.close)
        self.assertEqual({'a': 1}, caller.call('echo', a=1))
        with self.assertRaises(errors.NotFound) as caught:
            caller.call('refuse')
        self.assertEqual('there is no such plan', str(caught.exception))
        with self.assertRaisesRegex(errors.KVMBalancerError, 'release'):
            caller.call('no_such_method')
        with (
            self.assertLogs('kvm_balancer.bus.rpc'),
            self.assertRaisesRegex(errors.KVMBalancerError, 'by zero'),
        ):
            caller.call('fail')

    def test_an_older_server_is_told_from_one_that_fails(self):
        """Both ways round: an older client is answered all the same."""

        class Endpoint:
            def echo(self, _context, **said):
                return said

        for version, asked in (('1.0', rpc.VERSION), (rpc.VERSION, '1.0')):
            with self.subTest(server=version):
                Endpoint.target = oslo_messaging.Target(version=version)
                self.conf.set_override('control_exchange', uuid.uuid4().hex)
                server = oslo_messaging.get_rpc_server(
                    transport.rpc(self.conf),
                    oslo_messaging.Target(topic='topic', server='here'),
                    [Endpoint()],
                    access_policy=oslo_messaging.DefaultRPCAccessPolicy,
                )
                server.start()
                self.addCleanup(server.wait)
                self.addCleanup(server.stop)
                with mock.patch.object(rpc, 'VERSION', asked):
                    client = rpc.Client(self.conf, 'topic')
                    self.addCleanup(client.close)
                    if asked == '1.0':
                        self.assertEqual(
                            {'a': 1}, client.call('echo', 'here', a=1)
                        )
                        continue
                    with self.assertRaisesRegex(
                        errors.KVMBalancerError,
                        'here is of an older release, .* upgrade it',
                    ):
                        client.call('echo', 'here', a=1)

    def test_silence_is_told(self):
        """When nobody answers in time."""
        client = rpc.Client(self.conf, rpc.EXECUTOR_TOPIC)
        self.addCleanup(client.close)
        with self.assertRaisesRegex(errors.BusError, 'did not answer'):
            client.call('echo', server='host-9', timeout_seconds=0.01)
