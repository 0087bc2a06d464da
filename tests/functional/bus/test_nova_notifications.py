"""Nova's notifications on a real RabbitMQ, from oslo.messaging as Nova's."""

import queue
import threading

import amqp
import oslo_messaging

from kvm_balancer.bus import nova_notifications
from kvm_balancer.conf import nova_notifications as options
from kvm_balancer.messages import nova_notifications as messages
from tests.fixtures import transports
from tests.functional.bus import base

_QUEUE = 'kvm_balancer'
_EXCHANGE = 'nova'
#: Queues that a notifier makes, for whoever reads them: ceilometer, say.
_THEIRS = (
    'versioned_notifications.info',
    'notifications.info',
    'notifications.error',
)
_LOG = 'kvm_balancer.bus.streams'


class NovaNotificationsTest(base.BrokerCase):
    def setUp(self):
        super().setUp()
        options.register_opts(self.conf)
        self.got = queue.SimpleQueue()
        with self.channel() as channel:
            for name in (_QUEUE, *_THEIRS):
                channel.queue_delete(name)
            channel.exchange_delete(_EXCHANGE)

    def notifier(self, topic='versioned_notifications', durable=False):
        """Return what notifies as Nova does."""
        conf = transports.configured(
            self.broker.url, amqp_durable_queues=durable
        )
        conf.set_override('control_exchange', _EXCHANGE)
        # Theirs is the default, not ours.
        there = oslo_messaging.get_notification_transport(conf)
        self.addCleanup(there.cleanup)
        return oslo_messaging.Notifier(
            there, 'nova-compute:cmp1', driver='messagingv2', topics=[topic]
        )

    def listen(self):
        """Start a listener; return it, and what ends it."""
        listener = nova_notifications.Listener(self.conf, self.got.put)
        stop = threading.Event()
        thread = threading.Thread(target=listener.run, args=(stop,))
        thread.start()

        def end():
            stop.set()
            thread.join(base.PATIENCE)

        self.addCleanup(end)
        return listener, end

    def change(self, notifier, uid='u1'):
        notifier.info({}, 'instance.lock', {'nova_object.data': {'uuid': uid}})

    def heard(self):
        return self.got.get(timeout=base.PATIENCE)

    def test_nothing_is_taken_from_others_and_nothing_made_otherwise(self):
        """Whatever Nova's exchange is, and whoever else listens."""
        for durable in (False, True):
            with self.subTest(durable=durable):
                self.setUp()
                notifier = self.notifier(durable=durable)
                self.change(notifier, 'before anybody listens')
                listener, end = self.listen()
                self.assertTrue(listener.ready.wait(base.PATIENCE))
                self.change(notifier)
                self.assertEqual(messages.ServerChanged('u1'), self.heard())
                end()
                self.assertEqual(2, self.depth(_THEIRS[0]))

    def test_failures_and_the_legacy_format_are_news_too(self):
        legacy = self.notifier('notifications')
        self.change(legacy)
        listener, _ = self.listen()
        self.assertTrue(listener.ready.wait(base.PATIENCE))
        legacy.error({}, 'compute.instance.update', {'instance_id': 'u2'})
        self.assertEqual(messages.ServerChanged('u2'), self.heard())

    def test_a_nova_that_never_notified_is_waited_for_and_told(self):
        with self.assertLogs(_LOG, 'ERROR') as logs:
            listener, _ = self.listen()
            notifier = self.notifier()
            said = threading.Event()
            while not logs.output:
                said.wait(0.05)
        self.assertIn('has no exchange nova', logs.output[0])
        self.assertNotIn('Traceback', ''.join(logs.output))
        self.change(notifier)
        self.assertTrue(listener.ready.wait(base.PATIENCE))
        self.change(notifier)
        self.assertEqual(messages.ServerChanged('u1'), self.heard())

    def test_an_agent_that_is_away_does_not_fill_the_broker_of_nova(self):
        """The queue has a length and a time, and goes if nobody reads it."""
        notifier = self.notifier()
        self.change(notifier)
        listener, end = self.listen()
        self.assertTrue(listener.ready.wait(base.PATIENCE))
        end()
        with self.channel() as channel:
            # Declaring it otherwise is refused.
            channel.queue_declare(
                _QUEUE,
                durable=True,
                auto_delete=False,
                arguments={
                    'x-max-length': 10_000,
                    'x-overflow': 'drop-head',
                    'x-message-ttl': 600_000,
                    'x-expires': 3_600_000,
                },
            )

    def test_a_queue_of_an_earlier_release_is_told(self):
        self.change(self.notifier())
        with self.channel() as channel:
            channel.queue_declare(_QUEUE, durable=True, auto_delete=False)
        with self.assertLogs(_LOG, 'ERROR') as logs:
            self.listen()
            said = threading.Event()
            while not logs.output:
                said.wait(0.05)
        self.assertIn('delete_queue kvm_balancer', logs.output[0])

    def test_what_cannot_be_read_costs_nothing_else(self):
        notifier = self.notifier()
        self.change(notifier)
        listener, _ = self.listen()
        self.assertTrue(listener.ready.wait(base.PATIENCE))
        with self.assertLogs(nova_notifications.LOG, 'WARNING'):
            with self.channel() as channel:
                channel.basic_publish(
                    amqp.Message(b'rubbish'),
                    exchange=_EXCHANGE,
                    routing_key='versioned_notifications.info',
                )
            self.change(notifier)
            self.assertEqual(messages.ServerChanged('u1'), self.heard())
