"""A RabbitMQ for tests, and what it holds."""

import contextlib
import pathlib
import queue
import tempfile
import threading
import unittest

from kvm_balancer.bus import broker as way
from kvm_balancer.bus import closing
from kvm_balancer.bus import notifications
from kvm_balancer.bus import outages
from kvm_balancer.bus import progress
from kvm_balancer.bus import samples
from kvm_balancer.lab import broker
from tests.fixtures import transports

#: Far more than anything here takes: whoever waits longer waits in vain.
PATIENCE = 300.0

#: Queues that the tests make.
OUTCOMES = f'{notifications.OUTCOME_TOPIC}.info'
QUEUES = (samples.NAME, progress.NAME, OUTCOMES, 'someone-else')


class BrokerCase(unittest.TestCase):
    """Tests on a RabbitMQ of their own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        outages.calm()
        if broker.program() is None:
            raise RuntimeError('rabbitmq-server is not installed')
        folder = tempfile.TemporaryDirectory(prefix='kvm-balancer-bus-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.pki = cls.make_pki()
        cls.broker = broker.Broker(cls.folder / 'rabbit', pki=cls.pki)
        cls.addClassCleanup(cls.broker.stop)
        cls.broker.start(wait_seconds=300.0)

    @classmethod
    def make_pki(cls):
        """Return the directory of the broker's authority, or None."""
        return

    def options(self):
        """Return what [oslo_messaging_rabbit] has to say."""
        return {}

    def setUp(self):
        super().setUp()
        self.conf = transports.configured(self.broker.url, **self.options())
        with self.channel() as channel:
            for name in QUEUES:
                channel.queue_delete(name)

    @contextlib.contextmanager
    def channel(self):
        """Speak AMQP to the broker, past the code under test."""
        there = way.find(self.conf)
        with there.connection() as connection:
            yield connection.default_channel

    def depth(self, name):
        """Return how many messages wait in a queue."""
        with self.channel() as channel:
            declared = channel.queue_declare(name, passive=True)
        return declared.message_count

    def read(self, make, *arguments, **options):
        """Run a reader in a thread; return the queue of its batches."""
        got = queue.Queue()
        reader = make(self.conf, got.put, *arguments, **options)
        stop = threading.Event()
        thread = threading.Thread(target=reader.run, args=(stop,))
        thread.start()
        self.addCleanup(thread.join, PATIENCE)
        self.addCleanup(stop.set)
        self.assertTrue(reader.ready.wait(PATIENCE))
        got.reader, got.stop, got.thread = reader, stop, thread
        return got

    def listen(self, take, pool=None):
        """Start a listener of outcomes."""
        listener = notifications.OutcomeListener(self.conf, take, pool)
        listener.start()
        self.addCleanup(closing.within, 20.0, 'a test', listener.stop)
        return listener

    def outcome_publisher(self):
        """Return a publisher of outcomes."""
        publisher = notifications.OutcomePublisher(self.conf, 'host-1')
        self.addCleanup(publisher.close)
        return publisher
