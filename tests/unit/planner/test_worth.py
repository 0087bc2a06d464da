"""A move is made only where it is worth what it costs, by a margin."""

import unittest

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import worth
from kvm_balancer.planner.explanation import answers
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

EVEN = spread.Spread(spread.SpreadParams(target=0.0))
EAGER = range(1, 6)


def propose(fleet, *policies, eagerness=3, horizon=3600.0, **fields):
    eager = worth.Params(eagerness, horizon)
    context = plans.full_context(worth=eager, **fields)
    return composition.propose(policies, fleet, context)


def slow_fleet():
    """Hosts whose networks make migrations dear: 25 MiB/s."""
    return fleets.build(
        [fleets.host(name, migration_mib_s=25) for name in 'abc'],
        [
            fleets.instance(f'{home}{number}', home, cpu=cpu)
            for home, cpu in (('a', 1.0), ('b', 0.5), ('c', 0.2))
            for number in range(5)
        ],
    )


class WorthTest(unittest.TestCase):
    def test_the_more_eager_the_more_moves_and_the_evener(self):
        made = [
            propose(slow_fleet(), EVEN, eagerness=one, horizon=900.0)
            for one in EAGER
        ]
        counts = [len(one.moves) for one in made]
        spreads = [one.after.cpu_stddev for one in made]
        self.assertEqual(0, counts[0])
        self.assertEqual(sorted(counts), counts)
        self.assertEqual(sorted(spreads, reverse=True), spreads)
        self.assertLess(counts[1], counts[-1])

    def test_load_that_does_not_stay_is_not_worth_a_move(self):
        made = propose(slow_fleet(), EVEN, horizon=1.0)
        self.assertEqual((), made.moves)
        self.assertTrue(propose(slow_fleet(), EVEN, horizon=86400.0).moves)

    def test_at_one_only_what_is_mandatory_is_done(self):
        hosts = [
            fleets.host('hot'),
            fleets.host('cold'),
            fleets.host('out', state=columns.HostState.DRAINING),
        ]
        guests = [fleets.instance(f'h{n}', 'hot', cpu=3) for n in range(3)]
        guests.append(fleets.instance('d', 'out'))
        guests += [
            fleets.instance(f'g{n}', 'cold', cpu=0, groups=('g',))
            for n in range(2)
        ]
        fleet = fleets.build(hosts, guests, [fleets.group('g')])
        made = propose(
            fleet,
            repair.Repair(),
            drain.Drain(),
            relieve.Relieve(),
            EVEN,
            consolidate.Consolidate(),
            eagerness=1,
        )
        moved = {move.instance for move in made.moves}
        self.assertEqual(2, len(moved))
        self.assertIn('d', moved)
        self.assertTrue(moved & {'g0', 'g1'})
        self.assertIn('spread does nothing: at an eagerness', made.summary)

    def test_a_host_is_relieved_where_that_is_worth_it(self):
        guests = [fleets.instance(f'h{n}', 'hot', cpu=3) for n in range(3)]
        fleet = fleets.build(
            [fleets.host(one, migration_mib_s=2) for one in ('hot', 'cold')],
            guests,
        )
        relieving = relieve.Relieve()
        self.assertTrue(propose(fleet, relieving, horizon=86400.0).moves)
        made = propose(fleet, relieving, horizon=60.0)
        self.assertEqual((), made.moves)
        self.assertIn('is worth what it costs', made.still_hot[0].reason)

    def test_a_host_is_emptied_where_that_is_worth_it(self):
        fleet = fleets.build(
            [fleets.host(one, migration_mib_s=10) for one in 'abc'],
            [fleets.instance(one, one) for one in 'abc'],
        )
        policy = consolidate.Consolidate()
        self.assertTrue(propose(fleet, policy, horizon=86400.0).moves)
        self.assertEqual((), propose(fleet, policy, horizon=60.0).moves)

    def test_what_was_moved_a_short_while_ago_has_to_be_worth_more(self):
        """What is evened out by a move is not undone for a little."""
        fleet = slow_fleet()
        first = propose(fleet, EVEN, eagerness=4, horizon=900.0)
        recent = np.ones(len(fleet.instances), np.bool_)
        again = propose(
            fleet,
            EVEN,
            eagerness=4,
            horizon=900.0,
            recent_instances=recent,
        )
        self.assertLess(len(again.moves), len(first.moves))

    def test_what_has_to_go_goes_whatever_it_costs(self):
        hosts = [
            fleets.host('a', state=columns.HostState.DRAINING),
            fleets.host('b', migration_mib_s=1),
        ]
        fleet = fleets.build(hosts, [fleets.instance('x', 'a')])
        made = propose(fleet, drain.Drain(), eagerness=1, horizon=1.0)
        self.assertEqual(1, len(made.moves))


class PinnedTest(unittest.TestCase):
    def test_names_that_match_a_pattern_stay_and_say_so(self):
        hosts = [
            fleets.host('a', state=columns.HostState.DRAINING),
            fleets.host('b'),
        ]
        guests = [
            fleets.instance(uid, 'a', name=name)
            for uid, name in (('1', 'db-1'), ('2', 'web-1'), ('3', 'xdb-1'))
        ]
        fleet = fleets.build(hosts, guests)
        context = plans.full_context(pinned_names=('db-*', 'cache?'))
        made = drain.Drain().propose(fleet, context)
        self.assertEqual({'2', '3'}, {move.instance for move in made.moves})
        self.assertIn(
            'its name matches db-* of [planner] pinned_names',
            made.unplaced[0].reason,
        )
        found = answers.Answers(fleet, context, made).instance(0)
        self.assertEqual('pinned', found.stays.rule)


class SoftGroupTest(unittest.TestCase):
    """Wishes hold for who may choose; who must go goes all the same."""

    POLICY = columns.GroupPolicy.SOFT_ANTI_AFFINITY

    def build(self, *hosts, cpu=1.0):
        return fleets.build(
            hosts,
            [
                fleets.instance(str(row), host.name, cpu=cpu, groups=('g',))
                for row, host in enumerate(hosts)
            ],
            [fleets.group('g', self.POLICY)],
        )

    def test_what_drains_goes_where_it_is_not_wished_for(self):
        out = fleets.host('out', state=columns.HostState.DRAINING)
        full = self.build(out, fleets.host('b'))
        self.assertEqual(1, len(propose(full, drain.Drain()).moves))

    def test_what_drains_goes_where_it_is_wished_for_if_it_can(self):
        out = fleets.host('out', state=columns.HostState.DRAINING)
        fleet = fleets.build(
            [out, fleets.host('b'), fleets.host('c')],
            [
                fleets.instance('x', 'out', groups=('g',)),
                fleets.instance('y', 'b', cpu=0, groups=('g',)),
                fleets.instance('z', 'c', cpu=3),
            ],
            [fleets.group('g', self.POLICY)],
        )
        (move,) = propose(fleet, drain.Drain()).moves
        self.assertEqual('c', move.destination)

    def test_balance_is_not_had_at_the_price_of_a_wish(self):
        hosts = [fleets.host('a'), fleets.host('b')]
        fleet = fleets.build(
            hosts,
            [
                fleets.instance('x', 'a', cpu=4, groups=('g',)),
                fleets.instance('y', 'b', cpu=0, groups=('g',)),
                fleets.instance('z', 'a', cpu=4, groups=('h',)),
                fleets.instance('w', 'b', cpu=0, groups=('h',)),
            ],
            [fleets.group('g', self.POLICY), fleets.group('h', self.POLICY)],
        )
        self.assertEqual((), propose(fleet, EVEN).moves)
        overload = relieve.Relieve(relieve_limits.RelieveParams(0.7, 0.0))
        self.assertEqual(1, len(propose(fleet, overload).moves))


if __name__ == '__main__':
    unittest.main()
