"""A RabbitMQ of one's own comes, can be killed, comes back, and goes."""

import pathlib
import signal
import tempfile

import kombu
import testtools

from kvm_balancer.lab import broker
from kvm_balancer.lab import certificates
from kvm_balancer.lab import processes


class BrokerTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        temporary = tempfile.TemporaryDirectory(prefix='kvm-balancer-')
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)

    def _start(self, **options):
        mine = broker.Broker(self.directory / 'broker', **options)
        self.addCleanup(mine.stop)
        mine.start()
        return mine

    def _publish(self, mine, **options):
        url = mine.url.replace('rabbit://', 'amqp://')
        with kombu.Connection(url, **options) as connection:
            queue = connection.SimpleQueue('test')
            queue.put({'word': 'one'})
            self.assertEqual({'word': 'one'}, queue.get(timeout=300).payload)

    def test_it_carries_messages_also_after_it_was_killed(self):
        mine = self._start()
        self._publish(mine)
        mine.kill(signal.SIGKILL)
        self.assertFalse(mine.answers())
        mine.start()
        self._publish(mine)
        mine.stop()
        self.assertEqual([], processes.belonging(self.directory))

    def test_with_an_authority_it_speaks_tls_only(self):
        pki = self.directory / 'pki'
        certificates.found(pki)
        mine = self._start(pki=pki)
        self._publish(mine, ssl={'ca_certs': str(pki / 'cacert.pem')})
        plain = kombu.Connection(mine.url.replace('rabbit://', 'amqp://'))
        self.assertRaises(OSError, plain.connect)
