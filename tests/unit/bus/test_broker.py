"""One transport_url leads oslo.messaging and kombu to the same broker."""

import ssl
import threading
import unittest

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import transport
from tests.fixtures import transports


class TestBroker(unittest.TestCase):
    """What kombu makes of the URL."""

    def test_urls_keep_hosts_credentials_and_virtual_host(self):
        """Quoted where they have to be; the name tells no secret."""
        table = (
            ('rabbit://u:p@h:1/', ('pyamqp://u:p@h:1/',), 'h:1'),
            ('rabbit://u:p@h//', ('pyamqp://u:p@h:5672/%2F',), 'h:5672'),
            ('rabbit://u:p@h/v', ('pyamqp://u:p@h:5672/v',), 'h:5672'),
            (
                'rabbit://u:a%40%2Fb%3B@h/v',
                ('pyamqp://u:a%40%2Fb%3B@h:5672/v',),
                'h:5672',
            ),
            ('rabbit://u:p@[::1]:7/', ('pyamqp://u:p@[::1]:7/',), '[::1]:7'),
            (
                'rabbit://u:p@a:1,w:q@b:2/v',
                ('pyamqp://u:p@a:1/v', 'pyamqp://w:q@b:2/v'),
                'a:1, b:2',
            ),
            (
                'rabbit://',
                ('pyamqp://guest:guest@localhost:5672/',),
                'localhost:5672',
            ),
            ('fake://', ('memory://',), 'in memory'),
        )
        for url, urls, name in table:
            with self.subTest(url):
                found = broker.find(transports.configured(url))
                self.assertEqual(urls, found.urls)
                self.assertEqual(name, found.name)
                self.assertFalse(found.tls)

    def test_kombu_understands_what_it_is_given(self):
        """The parts arrive as they were meant."""
        url = 'rabbit://me:a%40%2Fb%3B@h:7/%2Fv'
        connection = broker.find(transports.configured(url)).connection()
        self.assertEqual('me', connection.userid)
        self.assertEqual('a@/b;', connection.password)
        self.assertEqual(('h', 7), (connection.hostname, connection.port))
        self.assertEqual('/v', connection.virtual_host)

    def test_tls_options_are_those_of_oslo_messaging(self):
        """From the options, or from the URL, which overrides them."""
        verified = {
            'ca_certs': '/ca',
            'cert_reqs': ssl.CERT_REQUIRED,
            'server_hostname': 'h',
        }
        url = 'rabbit://u:p@h/'
        own = {'ssl_cert_file': '/c', 'ssl_key_file': '/k'}
        table = (
            (url, {}, False),
            (url, {'ssl_ca_file': '/ca'}, False),
            (url, {'ssl': True}, True),
            (url, {'ssl': True, 'ssl_ca_file': '/ca'}, verified),
            (f'{url}?ssl=1&ssl_ca_file=/ca', {}, verified),
            (f'{url}?ssl=0', {'ssl': True}, False),
            (
                url,
                {'ssl': True} | own,
                {'certfile': '/c', 'keyfile': '/k'},
            ),
        )
        for url, options, expected in table:
            with self.subTest(url, **options):
                conf = transports.configured(url, **options)
                self.assertEqual(expected, broker.find(conf).tls)

    def test_what_is_no_broker_is_refused_without_telling_the_password(self):
        """One line that says what form it should have."""
        for url in (
            'nonsense',
            'amqpx://u:secret@h/',
            'kafka://u:secret@h/',
            'rabbit://u:se/cret@h:port/',
            'rabbit://u:secret@h:port/',
        ):
            for make in (transport.rpc, broker.find):
                with (
                    self.subTest(url, make=make.__name__),
                    self.assertRaises(errors.ConfigurationError) as caught,
                ):
                    make(transports.configured(url))
                self.assertIn('rabbit://', str(caught.exception))
                self.assertNotIn('cret', str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))

    def test_the_operator_has_the_last_word_on_defaults(self):
        """Ours come before what is configured."""
        conf = transports.configured('fake://', amqp_durable_queues=False)
        conf.set_override('control_exchange', 'theirs')
        transport.rpc(conf)
        self.assertEqual('theirs', conf.control_exchange)
        self.assertFalse(conf.oslo_messaging_rabbit.amqp_durable_queues)
        conf = transports.configured('fake://')
        self.assertEqual('kvm_balancer', conf.control_exchange)
        self.assertTrue(conf.oslo_messaging_rabbit.amqp_durable_queues)


class TestUnreachable(unittest.TestCase):
    """A broker that is not there."""

    def test_a_check_says_which_broker_and_what_to_look_at(self):
        """Nothing listens on port 1."""
        with self.assertRaises(errors.BusError) as caught:
            broker.check(
                transports.configured('rabbit://u:secret@127.0.0.1:1/')
            )
        self.assertIn('127.0.0.1:1 refuses', str(caught.exception))
        self.assertIn('transport_url', str(caught.exception))
        self.assertNotIn('secret', str(caught.exception))

    def test_waiting_ends_when_it_is_told_to(self):
        """And has logged one line, whatever the attempts."""
        attempts = []

        class Stop(threading.Event):
            """Is set at the third attempt; nobody waits."""

            def wait(self, timeout=None):
                attempts.append(timeout)
                if len(attempts) == 3:
                    self.set()
                return True

        with self.assertLogs('kvm_balancer.bus') as logs:
            reached = broker.wait(
                transports.configured('rabbit://u:p@127.0.0.1:1/'), Stop()
            )
        self.assertFalse(reached)
        self.assertEqual([1.0, 2.0, 4.0], attempts)
        self.assertEqual(1, len(logs.output))


class TestDefaults(unittest.TestCase):
    """The defaults of the options of oslo.messaging."""

    def test_they_are_set_once_for_each_configuration(self):
        """Listing the options copies all of them."""
        conf = transports.configured('fake://')
        other = transports.configured('fake://')
        conf.set_default('control_exchange', 'of an operator')
        transport.set_defaults(conf)
        self.assertEqual('of an operator', conf.control_exchange)
        self.assertEqual(transport.EXCHANGE, other.control_exchange)
