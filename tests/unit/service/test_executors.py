"""Executors as they run, with all of their wires, over the in-memory bus."""

import dataclasses
import pathlib
import queue
import tempfile
import time
import unittest
import uuid

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import notifications
from kvm_balancer.bus import transport
from kvm_balancer.conf import opts
from kvm_balancer.messages import migration as messages
from kvm_balancer.messages import observation
from kvm_balancer.messages import reservation as reservation_messages
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation
from kvm_balancer.service import executor_client
from kvm_balancer.service import executor_service
from kvm_balancer.service import peers
from tests.unit.service import worlds

TIMEOUT_SECONDS = 60.0


class ExecutorsTest(unittest.TestCase):
    """Two sources and one destination of 8192 MiB."""

    def setUp(self):
        super().setUp()
        self.world = worlds.World('a', 'b', 'c')
        self.addCleanup(self.world.close)
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = pathlib.Path(made.name)
        # The in-memory transports are those of the whole process.
        self.exchange = uuid.uuid4().hex
        self.outcomes = queue.SimpleQueue()
        listener = notifications.OutcomeListener(
            self.configure('listener'),
            lambda payload: self.outcomes.put(
                messages.decode_outcome(payload)
            ),
        )
        listener.start()
        self.addCleanup(listener.stop)

    def configure(self, name):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        transport.set_defaults(conf)
        conf.set_override('transport_url', 'fake://')
        conf.set_override('control_exchange', self.exchange)
        conf.set_override('name', name, 'host')
        # 800 MiB are left for instances
        conf.set_override('memory_reserved_mib', 7392.0, 'host')
        path = str(self.folder / f'{name}.sqlite')
        conf.set_override('state_path', path, 'executor')
        return conf

    def start(self, *names):
        """Start the executors of hosts; return them."""
        made = []
        for name in names:
            service = executor_service.ExecutorService(
                self.configure(name), self.world.driver(name)
            )
            self.addCleanup(service.stop)
            self.assertTrue(service.start())
            made.append(service.executor)
        return made

    def wanted(self, uid, source):
        return request.Request(
            str(uuid.uuid4()),
            uid,
            source,
            'c',
            self.world.uri('c'),
            time.time(),
        )

    def executions(self, uid):
        return self.world.stage.use(lambda it: it.executions())[uid]

    def test_of_two_sources_one_gets_the_last_memory(self):
        sources = self.start('a', 'b', 'c')[:2]
        moved = {}
        for source, name in zip(sources, 'ab', strict=True):
            uid = self.world.start(name)
            moved[uid] = name
            source.migrate(self.wanted(uid, name))
        ended = [self.outcomes.get(timeout=TIMEOUT_SECONDS) for _ in moved]
        ended.sort(key=lambda one: one.outcome.value)
        winner, loser = ended
        self.assertEqual(
            ['completed', 'failed'], [one.outcome.value for one in ended]
        )
        self.assertEqual(['c'], self.executions(winner.instance))
        self.assertEqual(
            [moved[loser.instance]], self.executions(loser.instance)
        )
        self.assertIn('288 MiB of what it gives', loser.reason)
        self.assertEqual(0.0, loser.transferred_mib)

    def test_a_migration_is_seen_over_the_bus_to_its_end(self):
        """As an agent sees what others carry out; a is only looked at."""
        source = self.start('a', 'c')[0]
        client = executor_client.ExecutorClient(
            self.configure('agent'), TIMEOUT_SECONDS
        )
        self.addCleanup(client.close)
        uid = self.world.start('a')
        wanted = self.wanted(uid, 'a')
        ask = observation.Ask(uid, wanted.migration_id)
        self.assertEqual((), client.observe('a', ask).seen)
        source.migrate(wanted)
        self.outcomes.get(timeout=TIMEOUT_SECONDS)
        told = []
        while not told or told[-1].kind != 'CallReturned':
            answer = client.observe('a', ask)
            told += answer.seen
            after = told[-1].number if told else 0
            ask = dataclasses.replace(ask, watch=answer.watch, after=after)
        kinds = [one.kind for one in told]
        self.assertIn('SourceStopped', kinds)
        self.assertIn('JobSettled', kinds)
        self.assertEqual(
            sorted({one.number for one in told}),
            [one.number for one in told],
        )
        with self.assertRaisesRegex(errors.DocumentError, 'names nothing'):
            client.observe('a', observation.Ask(uid, ''))

    def test_a_malformed_wish_for_room_is_refused_in_one_line(self):
        self.start('c')
        asking = peers.Peers(self.configure('a'), 'c')
        self.addCleanup(asking.close)
        asking.warm()
        good = reservation_messages.Ask(
            reservation.Claim('m', 'i', 'a', 512.0), request.Options()
        )
        self.assertGreater(asking.reserve('c', good).lease_seconds, 0.0)
        asking.release('c', 'm')
        with self.assertRaisesRegex(Exception, 'which nobody needs') as caught:
            asking.reserve(
                'c',
                reservation_messages.Ask(
                    reservation.Claim('m', 'i', 'a', 0.0), request.Options()
                ),
            )
        self.assertEqual('DocumentError', type(caught.exception).__name__)
