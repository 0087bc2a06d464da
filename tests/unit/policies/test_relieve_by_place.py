"""Limits that zones and aggregates have for themselves."""

import unittest

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import plan as plan_model
from kvm_balancer.planner import revalidation
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import scopes
from tests.fixtures import fleets
from tests.unit.planner import plans


def policy(zones=None, aggregates=None, **options):
    places = scopes.Scopes(zones or {}, aggregates or {})
    options = {'margin': 0.0} | options
    return relieve.Relieve(
        relieve_limits.RelieveParams(places=places, **options)
    )


def loaded(name, cores, **fields):
    """A host of ten cores, and instances of one core each on it."""
    return (
        fleets.host(name, **fields),
        [fleets.instance(f'{name}-{number}', name) for number in range(cores)],
    )


def fleet(*hosts):
    return fleets.build(
        [host for host, _ in hosts], [one for _, each in hosts for one in each]
    )


def ends(plan):
    return [(one.source, one.destination) for one in plan.moves]


class TestLimitsByPlace(unittest.TestCase):
    """What holds on which host."""

    def test_what_holds_is_said_by_the_narrowest_place(self):
        whole = fleet(
            loaded('plain', 0),
            loaded('zoned', 0, zone='a'),
            loaded('both', 0, zone='a', aggregates=('x',)),
            loaded('silent', 0, zone='a', aggregates=('z',)),
            loaded('twice', 0, aggregates=('x', 'y')),
        )
        cpu, *others = policy(
            {'a': {'limit': 0.9, 'margin': 0.2, 'memory_limit': 0.0}},
            {'x': {'limit': 0.7}, 'y': {'limit': 0.6, 'memory_limit': 0.5}},
        ).params.limits(whole)
        self.assertEqual([0.8, 0.9, 0.7, 0.9, 0.6], cpu.most.tolist())
        np.testing.assert_allclose([0.8, 0.7, 0.5, 0.7, 0.6], cpu.aim)
        (memory,) = (
            one for one in others if one.reading is plan_model.Reading.MEMORY
        )
        none = np.inf
        self.assertEqual([0.97, none, none, none, 0.5], memory.most.tolist())

    def test_of_no_limit_and_a_limit_the_limit_counts(self):
        whole = fleet(loaded('a', 0, aggregates=('x', 'y')))
        for first, second in ((0.0, 0.5), (0.5, 0.0)):
            limits = policy(
                aggregates={
                    'x': {'memory_limit': first},
                    'y': {'memory_limit': second},
                }
            ).params.limits(whole)
            self.assertEqual([0.5], limits[1].most.tolist())

    def test_a_host_is_relieved_by_its_own_limit(self):
        whole = fleet(
            loaded('hot', 9, zone='hot'),
            loaded('cool', 2, zone='hot'),
            loaded('low', 5, zone='low'),
            loaded('free', 0, zone='low'),
        )
        some = policy({'hot': {'limit': 0.9}, 'low': {'limit': 0.3}})
        plan = some.propose(whole, plans.full_context())
        self.assertEqual([('low', 'free')] * 2, ends(plan))
        self.assertEqual(2, plan.bound.moves)
        self.assertEqual([0.3] * 2, [one.cause.load for one in plan.moves])
        self.assertIn('1 of 1 hosts over 0.30 CPU', plan.summary)

    def test_a_destination_keeps_to_its_own(self):
        whole = fleet(
            loaded('hot', 10),
            loaded('coldest', 2, aggregates=('latency',)),
            loaded('next', 6),
        )
        some = policy(aggregates={'latency': {'limit': 0.2}})
        plan = some.propose(whole, plans.full_context())
        self.assertEqual([('hot', 'next')] * 2, ends(plan))

    def test_the_trigger_tells_of_the_host_that_is_most_over_its_own(self):
        whole = fleet(
            loaded('high', 8, zone='high'), loaded('low', 5, zone='low')
        )
        some = policy({'high': {'limit': 0.9}, 'low': {'limit': 0.4}})
        trigger = some.trigger(whole)
        self.assertAlmostEqual(0.8 * 0.5 / 0.4, trigger.level)
        self.assertEqual({'low'}, set(trigger.near))
        self.assertEqual(
            '1 of 2 hosts are over their limits of 0.40 to 0.90 CPU; low is '
            'the hottest at 0.50',
            trigger.text,
        )
        self.assertLess(
            policy({'low': {'limit': 0.5}}).trigger(whole).level, 0.8 + 1e-9
        )

    def test_a_move_is_dropped_by_the_limit_that_it_was_made_for(self):
        whole = fleet(loaded('low', 5, aggregates=('low',)), loaded('free', 0))
        some = policy(aggregates={'low': {'limit': 0.4}})
        (move,) = some.propose(whole, plans.full_context()).moves
        now = fleet(loaded('low', 4, aggregates=('low',)), loaded('free', 0))
        moved = plan_model.Move(
            **{
                name: getattr(move, name)
                for name in move.__dataclass_fields__
                if name != 'instance'
            },
            instance='low-0',
        )
        said = revalidation.Review(now, plans.FILTERS).objection((moved,))
        self.assertIn('was to be brought to 0.40', said.reason)

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_nobody_is_brought_over_its_own_limit(self, data):
        count = data.draw(st.integers(2, 6))
        hosts = [
            loaded(
                f'h{row}',
                data.draw(st.integers(0, 10)),
                zone=data.draw(st.sampled_from('ab')),
                aggregates=data.draw(
                    st.sampled_from(((), ('x',), ('x', 'y')))
                ),
            )
            for row in range(count)
        ]
        whole = fleet(*hosts)
        limits = st.sampled_from((0.2, 0.35, 0.5, 0.8, 1.0))
        some = policy(
            {'a': {'limit': data.draw(limits)}},
            {'x': {'limit': data.draw(limits)}, 'y': {'limit': 0.6}},
        )
        most = some.params.limits(whole)[0].most
        plan = some.propose(whole, plans.full_context())
        state = plans.placed(whole)
        for move in plan.moves:
            row = whole.instance_row[move.instance]
            state.move(
                np.array((row,), np.int32), whole.host_row[move.destination]
            )
            self.assertGreater(
                whole.cpu_load[whole.host_row[move.source]],
                most[whole.host_row[move.source]] - 1e-9,
            )
        worst = np.maximum(whole.cpu_load, most)
        self.assertTrue((state.cpu_load <= worst + 1e-9).all())
        stuck = {one.host for one in plan.still_hot}
        over = np.flatnonzero(state.cpu_load > most + 1e-9)
        self.assertEqual(stuck, {whole.hosts.name[row] for row in over})


if __name__ == '__main__':
    unittest.main()
