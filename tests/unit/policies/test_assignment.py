"""Zones and aggregates have policies of their own, among their own hosts."""

import unittest
import warnings

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner.explanation import answers
from kvm_balancer.policies import assignment
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.fixtures import judge
from tests.unit.planner import plans

POLICIES = {
    one.name: one
    for one in (
        spread.Spread(spread.SpreadParams(target=0.05)),
        relieve.Relieve(),
        drain.Drain(),
        repair.Repair(),
        consolidate.Consolidate(),
    )
}


def build(**fields):
    """Two zones, each with a hot and a cold host; b1 is in aggregate ssd."""
    hosts = [
        fleets.host('a1', zone='a'),
        fleets.host('a2', zone='a'),
        fleets.host('b1', zone='b', aggregates=('ssd',)),
        fleets.host('b2', zone='b', **fields),
    ]
    guests = [
        fleets.instance(f'{home}-{number}', home, cpu=2)
        for home in ('a1', 'b2')
        for number in range(4)
    ]
    return fleets.build(hosts, guests)


def propose(fleet, *, limits=None, **assigned):
    parts = assignment.Assignment(**assigned).parts(fleet, POLICIES)
    fields = {} if limits is None else {'limits': limits}
    return composition.propose_parts(
        parts, fleet, plans.full_context(**fields)
    )


class AssignmentTest(unittest.TestCase):
    def test_the_narrowest_place_that_says_anything_has_a_host(self):
        assigned = assignment.Assignment(
            default=('spread',),
            zones={'b': ('relieve',), 'elsewhere': ('drain',)},
            aggregates={'ssd': (), 'gone': ('drain',)},
        )
        found = {
            part.name: (
                [one.name for one in part.policies],
                np.flatnonzero(part.hosts).tolist(),
            )
            for part in assigned.parts(build(), POLICIES)
        }
        self.assertEqual(
            {
                'aggregate ssd': ([], [2]),
                'zone b': (['relieve'], [3]),
                '': (['spread'], [0, 1]),
            },
            found,
        )
        self.assertEqual(('spread', 'relieve', 'drain'), assigned.names)

    def test_no_policy_looks_after_no_hosts(self):
        """Where every host is in a place, the rest is none."""
        assigned = {'default': ('spread',), 'zones': {'a': (), 'b': ()}}
        with warnings.catch_warnings(action='error'):
            made = propose(build(), **assigned)
        self.assertEqual(('', ''), (made.policy, made.summary))
        parts = assignment.Assignment(**assigned).parts(build(), POLICIES)
        self.assertEqual(['zone a', 'zone b'], [one.name for one in parts])

    def test_a_fleet_without_hosts_has_the_rest_alone(self):
        (part,) = assignment.Assignment(('spread',), {'a': ()}).parts(
            fleets.build([], []), POLICIES
        )
        self.assertEqual('', part.name)

    def test_a_zone_without_policies_is_left_alone(self):
        made = propose(build(), default=('spread',), zones={'b': ()})
        self.assertTrue(made.moves)
        self.assertEqual({'a1'}, {move.source for move in made.moves})

    def test_a_host_that_nobody_looks_after_says_so(self):
        fleet = build()
        assigned = assignment.Assignment(('spread',), {'b': ()})
        parts = assigned.parts(fleet, POLICIES)
        context = plans.full_context(
            unattended=assignment.unattended(parts, fleet)
        )
        made = composition.propose_parts(parts, fleet, context)
        answering = answers.Answers(fleet, context, made)
        found = answering.instance(fleet.instance_row['b2-0'])
        self.assertEqual('policies', found.stays.rule)
        self.assertIn('no policy looks after b2', found.stays.text)
        found = answering.instance(fleet.instance_row['a1-0'])
        self.assertIsNone(found.stays)

    def test_policies_move_among_the_hosts_of_their_place(self):
        hosts = [fleets.host(name) for name in 'abc']
        hosts[2] = fleets.host('c', aggregates=('ssd',))
        guests = [fleets.instance(str(n), 'a', cpu=1) for n in range(8)]
        made = propose(
            fleets.build(hosts, guests),
            default=('spread',),
            aggregates={'ssd': ('spread',)},
        )
        self.assertEqual({'b'}, {move.destination for move in made.moves})

    def test_each_place_evens_out_its_own_spread(self):
        made = propose(build(), zones={'a': ('spread',), 'b': ('spread',)})
        self.assertIn('zone a: CPU spread 0.400 -> 0.000', made.summary)
        self.assertIn('zone b: CPU spread 0.400 -> 0.000', made.summary)

    def test_what_has_to_go_anywhere_goes_first(self):
        """A zone that comes first takes no moves from one that drains."""
        fleet = build(state=columns.HostState.DRAINING)
        made = propose(
            fleet,
            zones={'a': ('spread',), 'b': ('drain',)},
            limits=plans.context.Limits(max_moves=4),
        )
        self.assertEqual({'b2'}, {move.source for move in made.moves})
        self.assertEqual(4, len(made.moves))

    def test_every_policy_keeps_to_its_place(self):
        fleet = fleets.skewed(30, 300, seed=4, constraints=True)
        assigned = {
            'default': (),
            'zones': {'az0': tuple(POLICIES), 'az2': ('relieve',)},
        }
        made = propose(fleet, **assigned)
        self.assertEqual([], judge.broken_rules(fleet, made.moves))
        self.assertEqual([], judge.run_orders(fleet, made.moves))
        for move in made.moves:
            zone = fleet.zones[fleet.hosts.zone[fleet.host_row[move.source]]]
            self.assertIn(zone, ('az0', 'az2'))


if __name__ == '__main__':
    unittest.main()
