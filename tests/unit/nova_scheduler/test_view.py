"""What a scheduler of Nova makes of the fleet's state."""

import unittest

import hypothesis
from hypothesis import strategies

from kvm_balancer import errors
from kvm_balancer.messages import fleet_state
from kvm_balancer.nova_scheduler import view
from tests.fixtures import nova_scheduler

_State = fleet_state.HostState
LOADS = strategies.floats(0.0, 2.0)


class ViewTest(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.view = view.View(60.0, clock=lambda: self.now)

    def take(self, **hosts):
        self.view.take(fleet_state.FleetState(1.0e9, hosts), self.now)

    def weights(self, *names, **vcpus):
        """Weigh hosts by name, with the vCPUs that Nova has on them."""
        return self.view.weights(
            [
                nova_scheduler.host(name, vcpus.get(name, 0))
                for name in (*names, *vcpus)
            ]
        )

    def test_less_load_weighs_more_and_arrivals_count(self):
        self.take(a=_State(0.5), b=_State(0.2), c=_State(0.1, 0.6))
        weights = self.weights('a', 'b', 'c')
        self.assertEqual([-0.5, -0.2], weights[:2])
        self.assertAlmostEqual(-0.7, weights[2])

    def test_a_host_that_is_not_known_is_as_good_as_the_mean(self):
        self.take(a=_State(0.6), b=_State(0.2))
        self.assertAlmostEqual(-0.4, self.weights('a', 'x', 'b')[1])

    def test_servers_that_are_not_measured_yet_count_with_what_they_expect(
        self,
    ):
        """Or all that come between two states would go to one host."""
        self.take(
            a=_State(0.25, vcpus=4, vcpu_load=0.125),
            b=_State(0.5, 0.25, vcpus=4, vcpu_load=0.125),
            c=_State(0.25, vcpu_load=0.125),
        )
        for vcpus, expected in (
            ((4, 4, 4), (-0.25, -0.75, -0.25)),
            ((6, 4, 4), (-0.5, -0.75, -0.25)),
            # What is measured and not there any more is not taken off.
            ((4, 2, 0), (-0.25, -0.75, -0.25)),
            # Of c nobody knows whose load was measured.
            ((0, 5, 9), (-0.25, -0.875, -0.25)),
        ):
            with self.subTest(vcpus):
                asked = dict(zip('abc', vcpus, strict=True))
                self.assertEqual([*expected], self.weights(**asked))

    def test_a_burst_between_two_states_goes_to_the_calm_in_turn(self):
        """Though no compute has told of its new servers yet."""
        self.take(
            a=_State(0.5, vcpus=0, vcpu_load=0.125),
            b=_State(0.0, vcpus=0, vcpu_load=0.125),
            c=_State(0.25, vcpus=0, vcpu_load=0.125),
        )
        chosen = ''
        for _ in range(8):
            asked = [nova_scheduler.host(name) for name in 'abc']
            weights = self.view.weights(asked)
            best = asked[weights.index(max(weights))]
            best.vcpus_used += 1
            chosen += best.host
        self.assertEqual('bbbcbcab', chosen)

    def test_it_stands_aside_when_nothing_fresh_is_known(self):
        """Before the first state, and after the last one for too long."""
        self.assertEqual([0.0, 0.0], self.weights('a', 'b'))
        self.assertEqual('', self.view.closed('a'))
        self.take(a=_State(0.9, closed='it is being drained'))
        self.assertEqual('it is being drained', self.view.closed('a'))
        self.now = 60.5
        self.assertEqual([0.0, 0.0], self.weights('a', 'b'))
        self.assertEqual('', self.view.closed('a'))

    @hypothesis.given(
        strategies.dictionaries(
            strategies.sampled_from('abcdef'), LOADS, max_size=6
        )
    )
    def test_the_order_of_weights_is_that_of_loads(self, loads):
        self.setUp()
        self.take(**{name: _State(load) for name, load in loads.items()})
        names = sorted(loads)
        weights = dict(zip(names, self.weights(*names), strict=True))
        for one in names:
            for other in names:
                if loads[one] < loads[other]:
                    self.assertGreaterEqual(weights[one], weights[other])


class DocumentTest(unittest.TestCase):
    def test_a_state_comes_back_as_it_was(self):
        state = fleet_state.FleetState(
            12.5, {'a': _State(0.5, 0.1, 'it is being drained')}
        )
        self.assertEqual(state, fleet_state.decode(fleet_state.encode(state)))

    def test_rubbish_is_refused_in_one_line(self):
        for body in (
            b'',
            b'{}',
            b'[]',
            b'{"schema": "other", "state": {"taken_at": 1, "hosts": {}}}',
            b'{"schema": "kvm-balancer/fleet-state/1", "state": 7}',
        ):
            with self.subTest(body):
                with self.assertRaises(errors.DocumentError) as caught:
                    fleet_state.decode(body)
                self.assertNotIn('\n', str(caught.exception))
