"""The filter and the weigher, as a scheduler of Nova loads and asks them."""

import multiprocessing
import threading
import time
import unittest
from unittest import mock

from kvm_balancer.bus import broker
from kvm_balancer.bus import fleet_state as bus
from kvm_balancer.bus import transport
from kvm_balancer.messages import fleet_state
from kvm_balancer.nova_scheduler import receiver
from tests.fixtures import nova_scheduler
from tests.fixtures import transports

_PATIENCE_SECONDS = 60.0
_State = fleet_state.HostState
_DRAINED = 'it is being drained'


class PluginCase(unittest.TestCase):
    """Plugins that listen to a broker inside this process."""

    options = {}

    def setUp(self):
        super().setUp()
        self.nova = self.enterContext(
            nova_scheduler.loaded('fake://', **self.options)
        )
        self.weigher = self.nova.weigher.BalancerWeigher()
        self.filter = self.nova.filter.BalancerFilter()

    def announce(self, **hosts):
        """Send states until one has come."""
        publisher = bus.Publisher(transports.configured('fake://'))
        self.addCleanup(publisher.close)
        state = fleet_state.FleetState(time.time(), hosts)
        until = time.monotonic() + _PATIENCE_SECONDS
        while self.nova.receiver.view().hosts != hosts:
            self.assertLess(time.monotonic(), until)
            publisher.publish(state)
            threading.Event().wait(0.02)

    def weights(self, *names):
        return self.weigher.weigh_objects(
            [
                nova_scheduler.Fields(obj=nova_scheduler.host(name))
                for name in names
            ],
            None,
        )

    def passes(self, name, **asked):
        return self.filter.host_passes(
            nova_scheduler.host(name), nova_scheduler.Fields(**asked)
        )


class WeigherTest(PluginCase):
    def test_less_load_weighs_more_planned_arrivals_counted_in(self):
        self.announce(a=_State(0.5), b=_State(0.25), c=_State(0.125, 0.5))
        self.assertEqual([-0.5, -0.25, -0.625], self.weights('a', 'b', 'c'))
        self.assertEqual(
            -0.25, self.weigher._weigh_object(nova_scheduler.host('b'), None)
        )

    def test_servers_that_nova_has_placed_since_count(self):
        self.announce(
            a=_State(0.5, vcpus=8, vcpu_load=0.25),
            b=_State(0.75, vcpus=8, vcpu_load=0.25),
        )
        asked = [
            nova_scheduler.Fields(obj=nova_scheduler.host(name, 8))
            for name in 'ab'
        ]
        for placed, weights in (
            (0, [-0.5, -0.75]),
            (2, [-1.0, -0.75]),
            (0, [-1.0, -0.75]),
        ):
            asked[0].obj.vcpus_used += placed
            self.assertEqual(weights, self.weigher.weigh_objects(asked, None))

    def test_before_the_first_state_all_weigh_the_same(self):
        self.assertEqual([0.0, 0.0], self.weights('a', 'b'))

    def test_its_multiplier_is_the_options_or_an_aggregates(self):
        self.nova.conf.set_override('weight_multiplier', 2.5, 'kvm_balancer')
        plain = nova_scheduler.host('a')
        gold = nova_scheduler.host('a', kvm_balancer_weight_multiplier='7')
        self.assertEqual(2.5, self.weigher.weight_multiplier(plain))
        self.assertEqual(7.0, self.weigher.weight_multiplier(gold))


class FilterTest(PluginCase):
    def test_drained_and_relieved_hosts_get_nothing_new(self):
        self.announce(
            a=_State(0.1),
            b=_State(0.1, closed=_DRAINED),
            c=_State(0.9, closed='it is being relieved'),
        )
        self.assertEqual(
            [True, False, False, True],
            [self.passes(name) for name in ('a', 'b', 'c', 'unknown')],
        )

    def left(self, *names):
        hosts = map(nova_scheduler.host, names)
        found = self.filter.filter_all(hosts, nova_scheduler.Fields())
        return [one.host for one in found]

    def test_relieved_hosts_give_way_where_nothing_else_is_left(self):
        """A plan for a whole cloud refused every new server of it."""
        relieved = _State(0.9, closed='it is being relieved', gives_way=True)
        self.announce(
            a=_State(0.1), b=_State(0.1, closed=_DRAINED), c=relieved
        )
        for hosts, left in (
            ('abc', ['a']),
            ('bc', ['c']),
            ('b', []),
            ('', []),
        ):
            with self.subTest(hosts):
                self.assertEqual(left, self.left(*hosts))

    def test_before_the_first_state_nothing_is_refused(self):
        self.assertTrue(self.passes('a'))

    def test_a_host_that_is_asked_for_by_name_is_passed(self):
        """The balancer's own moves may go to a host that others leave."""
        self.announce(b=_State(0.1, closed=_DRAINED))
        fields = nova_scheduler.Fields
        self.assertTrue(
            self.passes('b', requested_destination=fields(host='b'))
        )
        for unnamed in (None, fields(), fields(host=None)):
            with self.subTest(unnamed):
                self.assertFalse(
                    self.passes('b', requested_destination=unnamed)
                )


class StaleTest(PluginCase):
    options = {'stale_seconds': 30.0}

    def test_an_old_state_stands_aside(self):
        self.announce(a=_State(0.9, closed=_DRAINED), b=_State(0.1))
        self.assertFalse(self.passes('a'))
        view = self.nova.receiver.view()
        later = time.monotonic() + 31.0
        with mock.patch.object(view, '_clock', lambda: later):
            self.assertTrue(self.passes('a'))
            self.assertEqual([0.0, 0.0], self.weights('a', 'b'))


class ReceiverTest(PluginCase):
    def test_filter_and_weigher_share_one_and_listen_once(self):
        self.assertIs(self.nova.filter._RECEIVER, self.nova.weigher._RECEIVER)
        with mock.patch.object(bus, 'Listener', autospec=True) as listener:
            for _ in range(3):
                self.weights('a')
                self.passes('a')
        self.assertEqual(1, listener.call_count)

    def test_loading_it_starts_nothing(self):
        """Nova loads its plugins before it forks its workers."""
        with mock.patch.object(bus, 'Listener', autospec=True) as listener:
            self.nova.weigher.BalancerWeigher()
            self.nova.filter.BalancerFilter()
            self.assertFalse(listener.called)
            self.weights('a')
            self.assertTrue(listener.called)

    def test_each_forked_worker_listens_for_itself(self):
        self.weights('a')
        context = multiprocessing.get_context('fork')
        told, tell = context.Pipe(duplex=False)

        def work():
            began = []
            with mock.patch.object(
                bus, 'Listener', lambda *_: began.append(1) or mock.Mock()
            ):
                self.weights('a')
                self.weights('a')
            tell.send(len(began))

        worker = context.Process(target=work)
        worker.start()
        self.addCleanup(worker.join, _PATIENCE_SECONDS)
        self.assertTrue(told.poll(_PATIENCE_SECONDS))
        self.assertEqual(1, told.recv())

    def test_many_threads_that_ask_first_listen_once(self):
        together = threading.Barrier(8)
        began = []

        def ask():
            together.wait(_PATIENCE_SECONDS)
            self.weights('a')

        with mock.patch.object(
            bus, 'Listener', lambda *_: began.append(1) or mock.Mock()
        ):
            asking = [threading.Thread(target=ask) for _ in range(8)]
            for one in asking:
                one.start()
            for one in asking:
                one.join(_PATIENCE_SECONDS)
        self.assertEqual(1, len(began))

    def test_whatever_breaks_while_it_begins_nova_schedules_on(self):
        for error in (RuntimeError('a bug'), OSError('no thread')):
            with (
                self.subTest(error),
                mock.patch.object(
                    bus, 'Listener', autospec=True, side_effect=error
                ),
                self.assertLogs(receiver.LOG, 'ERROR'),
            ):
                made = receiver.Receiver(self.nova.conf)
                self.assertEqual({}, made.view().hosts)
                # It is not tried again with every request.
                self.assertEqual({}, made.view().hosts)

    def test_a_broker_that_cannot_be_is_told_once(self):
        self.nova.conf.set_override(
            'transport_url', 'nonsense://', 'kvm_balancer'
        )
        with self.assertLogs(receiver.LOG, 'ERROR') as logged:
            self.weights('a')
            self.passes('a')
        self.assertEqual(1, len(logged.output), logged.output)
        self.assertIn('stands aside', logged.output[0])

    def test_a_broker_that_does_not_answer_is_not_waited_for(self):
        """The question is answered while the listener still tries."""
        reached = threading.Event()
        leave = threading.Event()
        self.addCleanup(leave.set)

        def never(*_):
            reached.set()
            leave.wait(_PATIENCE_SECONDS)
            raise OSError('nobody there')

        with mock.patch.object(broker, 'reached', never):
            self.assertEqual([0.0], self.weights('a'))
            self.assertTrue(reached.wait(_PATIENCE_SECONDS))
            self.assertTrue(self.passes('a'))
            leave.set()

    def test_its_own_broker_is_reached_without_novas_certificates(self):
        nova = transports.configured(
            'rabbit://nova:x@nova-broker//', ssl=True, ssl_ca_file='/ca.pem'
        )
        receiver.shared(nova)
        self.addCleanup(nova_scheduler.forget, nova)
        found = receiver._ours(nova)
        self.assertEqual('rabbit://nova:x@nova-broker//', found.transport_url)
        self.assertTrue(found[transport.RABBIT].ssl)
        self.assertEqual('/ca.pem', found[transport.RABBIT].ssl_ca_file)
        nova.set_override(
            'transport_url', 'rabbit://b:x@ours//', 'kvm_balancer'
        )
        found = receiver._ours(nova)
        self.assertEqual('rabbit://b:x@ours//', found.transport_url)
        self.assertFalse(found[transport.RABBIT].ssl)


class ListenerTest(unittest.TestCase):
    """What comes over the bus, in whatever shape."""

    def setUp(self):
        super().setUp()
        self.conf = transports.configured('fake://')
        self.taken = []
        self.come = threading.Event()
        self.stop = threading.Event()

    def take(self, state, at):
        self.taken.append((state, at))
        self.come.set()

    def test_rubbish_is_refused_and_the_next_state_taken(self):
        listener = bus.Listener(self.conf, self.take)
        message = mock.Mock(body=b'rubbish')
        with self.assertLogs(bus.LOG, 'WARNING'):
            listener._note(message)
        state = fleet_state.FleetState(1.0, {'a': _State(0.5)})
        for body in (
            fleet_state.encode(state),
            fleet_state.encode(state).decode(),
        ):
            listener._note(mock.Mock(body=body))
        self.assertEqual([state, state], [found for found, _ in self.taken])

    def test_a_listener_outlives_its_connection(self):
        """Whatever a lost connection raises, it connects anew."""
        listener = bus.Listener(self.conf, self.take)
        listener._pauses = mock.Mock(next=lambda: 0.0)
        tries = []

        def listen(stop):
            tries.append(1)
            if len(tries) == 3:
                stop.set()
            raise (OSError('gone'), ValueError('stumbled'), OSError())[
                len(tries) - 1
            ]

        with mock.patch.object(listener, '_listen', listen):
            listener.run(self.stop)
        self.assertEqual(3, len(tries))
