"""Calls over a real RabbitMQ, plain and with TLS."""

import ssl

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import rpc
from kvm_balancer.bus import samples
from kvm_balancer.lab import certificates
from tests.fixtures import transports
from tests.functional.bus import base


def refuse():
    """Refuse as a server would."""
    raise errors.MigrationError('instance i-1 is not here')


class RpcTests:
    """What holds with and without TLS."""

    def serve(self, host):
        """Start an executor's server."""
        server = rpc.Server(
            self.conf,
            rpc.EXECUTOR_TOPIC,
            host,
            {'echo': lambda **said: said, 'refuse': refuse},
        )
        server.start()
        self.addCleanup(server.stop)

    def client(self, conf=None):
        """Return a client of executors."""
        client = rpc.Client(conf or self.conf, rpc.EXECUTOR_TOPIC)
        self.addCleanup(client.close)
        return client

    def test_the_executor_that_is_called_answers(self):
        """And no other of the same topic."""
        self.serve('host-1')
        said = self.client().call('echo', server='host-1', a=[1, {'b': None}])
        self.assertEqual({'a': [1, {'b': None}]}, said)

    def test_an_error_comes_back_as_it_was_raised(self):
        """Its class and its text, without the other side's traceback."""
        self.serve('host-1')
        with self.assertRaises(errors.MigrationError) as caught:
            self.client().call('refuse', server='host-1')
        self.assertIs(errors.MigrationError, type(caught.exception))
        self.assertEqual('instance i-1 is not here', str(caught.exception))

    def test_a_host_without_an_executor_is_told_at_once(self):
        """Not only when the time is over."""
        self.serve('host-1')
        with self.assertRaisesRegex(errors.BusError, 'host-9 is not on'):
            self.client().call('echo', server='host-9', timeout_seconds=600.0)


class TestPlain(RpcTests, base.BrokerCase):
    """Without TLS."""

    def test_a_stopped_executor_does_not_answer_in_time(self):
        """Its queue is there, but nobody reads it."""
        server = rpc.Server(self.conf, rpc.EXECUTOR_TOPIC, 'gone', {})
        server.start()
        server.stop()
        with self.assertRaisesRegex(errors.BusError, 'did not answer echo'):
            self.client().call('echo', server='gone', timeout_seconds=0.5)

    def test_what_is_wrong_with_the_way_is_told_on_one_line(self):
        """Each with what to check, and without the password."""
        url = self.broker.url
        place = url.split('@')[1]
        password = url.split(':')[2].split('@')[0]
        table = (
            (url.replace(password, 'wrong'), 'refuses the user'),
            (url.replace(place, place[:-1] + 'other'), 'the virtual host'),
            (f'{url}?ssl=1', 'TLS'),
        )
        for wrong, words in table:
            with (
                self.subTest(words),
                self.assertRaisesRegex(errors.BusError, words) as caught,
            ):
                broker.check(transports.configured(wrong))
            self.assertNotIn('\n', str(caught.exception))
            self.assertNotIn(password, str(caught.exception))

    def test_a_second_broker_is_tried_when_the_first_is_away(self):
        """All hosts of the URL are."""
        place = self.broker.url.removeprefix('rabbit://')
        conf = transports.configured(f'rabbit://u:p@127.0.0.1:1,{place}')
        broker.check(conf)
        publisher = samples.Publisher(conf, 'host-1')
        self.addCleanup(publisher.close)
        self.assertTrue(publisher.publish(b'{}'))


class TestTls(RpcTests, base.BrokerCase):
    """With TLS, and an authority of the test's own."""

    @classmethod
    def make_pki(cls):
        pki = cls.folder / 'pki'
        certificates.found(pki)
        return pki

    def options(self):
        return {'ssl': True, 'ssl_ca_file': f'{self.pki}/cacert.pem'}

    def test_samples_travel_encrypted_by_the_same_options(self):
        """One transport_url, one set of options."""
        got = self.read(samples.reader)
        publisher = samples.Publisher(self.conf, 'host-1')
        self.addCleanup(publisher.close)
        self.assertTrue(publisher.publish(b'{"a": 1}'))
        self.assertEqual([b'{"a": 1}'], got.get(timeout=base.PATIENCE))
        amqp = publisher._publisher._connection.connection
        self.assertIsInstance(amqp.sock, ssl.SSLSocket)

    def test_what_is_wrong_with_tls_is_told_on_one_line(self):
        """Another authority, none, a missing file, no TLS at all."""
        other = self.folder / 'other'
        certificates.found(other)
        url = self.broker.url
        table = (
            ({'ssl': True, 'ssl_ca_file': f'{other}/cacert.pem'}, 'certifica'),
            ({'ssl': True, 'ssl_ca_file': '/nowhere.pem'}, 'does not exist'),
            ({}, 'needs .oslo_messaging_rabbit. ssl'),
        )
        for options, words in table:
            with (
                self.subTest(words),
                self.assertRaisesRegex(errors.BusError, words) as caught,
            ):
                broker.check(transports.configured(url, **options))
            self.assertNotIn('\n', str(caught.exception))
