"""What the policies decide on fleets that can be worked out by hand."""

import dataclasses
import itertools
import unittest

import numpy as np

from kvm_balancer.filters import base as filter_base
from kvm_balancer.planner import context
from kvm_balancer.planner import worth
from kvm_balancer.policies import base
from kvm_balancer.policies import composition
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from kvm_balancer.weighers import base as weigher_base
from tests.fixtures import fleets
from tests.unit.planner import plans

RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.8, margin=0.0))
SPREAD = spread.Spread(spread.SpreadParams(target=0.1))


def moves(policy, fleet, **fields):
    made = policy.propose(fleet, plans.full_context(**fields))
    return [(move.instance, move.destination) for move in made.moves]


class TestRelieve(unittest.TestCase):
    """Fewest, cheapest moves under the limit."""

    def test_the_trigger_names_the_hottest_host(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=9), fleets.host('b')], []
        )
        trigger = RELIEVE.trigger(fleet)
        self.assertAlmostEqual(0.9, trigger.level)
        self.assertEqual(
            '1 of 2 hosts are over 0.80 CPU; a is the hottest at 0.90',
            trigger.text,
        )

    def test_the_trigger_tells_of_hosts_near_the_limit(self):
        fleet = fleets.build(
            [
                fleets.host('cool', cpu_overhead=7.4),
                fleets.host('near', cpu_overhead=7.6),
                fleets.host('over', cpu_overhead=9),
                fleets.host('gone', cpu_overhead=9, silent=True),
            ],
            [],
        )
        near = relieve.Relieve().trigger(fleet).near
        self.assertEqual({'near': 0.76, 'over': 0.9}, near)

    def test_the_trigger_tells_of_hosts_that_have_lasted(self):
        """A load that has gone by, and a silent host, do not count."""
        fleet = fleets.build(
            [
                fleets.host('lasts', cpu_overhead=9),
                fleets.host('new', cpu_overhead=9),
                fleets.host('over', cpu_overhead=7),
                fleets.host('gone', cpu_overhead=9, silent=True),
            ],
            [],
        )
        lasting = np.array([0.85, 0.79, 0.85, 0.9])
        fleet = dataclasses.replace(
            fleet,
            hosts=dataclasses.replace(fleet.hosts, cpu_lasting=lasting),
            lasting_seconds=80.0,
        )
        self.assertEqual({'lasts': 80.0}, RELIEVE.trigger(fleet).lasting)

    def test_a_host_that_was_read_calm_last_is_left_alone(self):
        """Its average remembers a burst; that nothing was read is no calm.

        It goes on waiting, and another host is relieved all the same.
        """
        fleet = fleets.build(
            [
                fleets.host('a', cpu_overhead=6),
                fleets.host('b', cpu_overhead=6),
                fleets.host('c'),
            ],
            [
                fleets.instance('of-a', 'a', cpu=3),
                fleets.instance('of-b', 'b', cpu=2.5),
            ],
        )
        table = (
            ((0.1, 0.1), 0.8, []),
            ((0.8, 0.8), 0.8, []),
            ((0.81, 0.8), 0.9, ['of-a']),
            ((0.8, 0.81), 0.85, ['of-b']),
            ((0.81, 0.81), 0.9, ['of-a', 'of-b']),
            ((np.nan, 0.0), 0.9, ['of-a']),
            ((np.nan, np.nan), 0.9, ['of-a', 'of-b']),
        )
        for last, level, relieved in table:
            with self.subTest(last=last):
                seen = dataclasses.replace(
                    fleet,
                    hosts=dataclasses.replace(
                        fleet.hosts, cpu_last=np.array([*last, 0.0])
                    ),
                )
                trigger = RELIEVE.trigger(seen)
                self.assertAlmostEqual(level, trigger.level)
                self.assertEqual(bool(relieved), trigger.level > trigger.start)
                self.assertEqual(
                    relieved, sorted(one for one, _ in moves(RELIEVE, seen))
                )
                near = relieve.Relieve().trigger(seen).near
                self.assertEqual({'a', 'b'}, near.keys())

    def test_a_silent_host_alarms_nobody(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=9, silent=True)], []
        )
        self.assertEqual(0, RELIEVE.trigger(fleet).level)

    def test_of_those_that_suffice_the_cheapest_goes(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance('large', 'a', cpu=4, memory_gib=16),
                fleets.instance('cheap', 'a', cpu=1.5, memory_gib=2),
                fleets.instance('small', 'a', cpu=0.5, memory_gib=1),
                fleets.instance('dear', 'a', cpu=3, memory_gib=8),
            ],
        )
        self.assertEqual([('cheap', 'b')], moves(RELIEVE, fleet))

    def test_a_host_is_brought_as_far_under_the_limit_as_the_margin(self):
        """Out of the box, relief ends lower than where it begins."""
        for overhead, count in ((7.5, 0), (7.9, 0), (8.1, 3)):
            with self.subTest(overhead=overhead):
                fleet = fleets.build(
                    [
                        fleets.host('a', cpu_overhead=overhead - 1),
                        fleets.host('b'),
                    ],
                    [fleets.instance(str(n), 'a', cpu=0.2) for n in range(5)],
                )
                found = moves(relieve.Relieve(), fleet)
                self.assertEqual(count, len(found))

    def test_two_moves_only_where_one_does_not_suffice(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=7), fleets.host('b')],
            [
                fleets.instance('one', 'a', cpu=1),
                fleets.instance('two', 'a', cpu=0.9),
                fleets.instance('three', 'a', cpu=0.2),
            ],
        )
        found = moves(RELIEVE, fleet)
        self.assertEqual(2, len(found))

    def test_no_destination_gets_hot_itself(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b', cpu_overhead=7.5)],
            [fleets.instance(str(n), 'a', cpu=3) for n in range(3)],
        )
        made = RELIEVE.propose(fleet, plans.full_context())
        self.assertEqual((), made.moves)
        self.assertEqual(
            'no host takes 0, the largest of the 3 instances that may leave: '
            'of 1 hosts, 1 would go over 1.00 CPU with its 3.00 cores',
            made.still_hot[0].reason,
        )

    def test_why_a_host_stays_hot(self):
        for reason, hosts, guest in (
            (
                'none of its instances may be moved',
                [fleets.host('a'), fleets.host('b')],
                {'movable': False},
            ),
            (
                'it has gone silent: nobody knows what it runs now',
                [fleets.host('a', silent=True), fleets.host('b')],
                {},
            ),
            (
                'no host of zone z takes x, the largest of the 1 instances '
                'that may leave: of 1 hosts, 1 are not in zone z',
                [fleets.host('a', zone='z'), fleets.host('b')],
                {},
            ),
        ):
            with self.subTest(reason):
                fleet = fleets.build(
                    hosts, [fleets.instance('x', 'a', cpu=9, **guest)]
                )
                made = RELIEVE.propose(fleet, plans.full_context())
                self.assertEqual(reason, made.still_hot[0].reason)
                self.assertIn('a stay', made.summary)

    def test_a_move_says_what_it_does_to_both_ends(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=8), fleets.host('b')],
            [fleets.instance('x', 'a', cpu=1)],
        )
        made = RELIEVE.propose(fleet, plans.full_context())
        self.assertEqual(
            'a is at 0.90 CPU; this move takes it to 0.80; b goes 0.00 -> '
            '0.10, the only one of 1 that fits',
            made.moves[0].reason,
        )


class TestSpread(unittest.TestCase):
    """Down to the target, and no further."""

    def fleet(self):
        return fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance(str(n), 'a', cpu=1) for n in range(8)],
        )

    def test_the_trigger_compares_with_both_thresholds(self):
        trigger = spread.Spread().trigger(self.fleet())
        self.assertEqual(
            (0.4, 0.15, 0.1), (trigger.level, trigger.start, trigger.stop)
        )

    def test_it_stops_at_the_target(self):
        self.assertEqual(3, len(moves(SPREAD, self.fleet())))

    def test_under_the_target_it_does_nothing(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=1), fleets.host('b')], []
        )
        made = SPREAD.propose(fleet, plans.full_context())
        self.assertEqual((), made.moves)
        self.assertIn('nothing to do', made.summary)

    def test_a_target_out_of_reach_is_said_to_be(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=8), fleets.host('b')], []
        )
        made = SPREAD.propose(fleet, plans.full_context())
        self.assertIn('it would be 0.400 with every zone even', made.summary)

    def test_what_brings_it_hardly_any_nearer_is_not_made(self):
        """No host has the memory for what is hot; others are nearly even."""
        fleet = fleets.build(
            [
                fleets.host('hot', memory_gib=64),
                *(fleets.host(f'h{row}') for row in range(6)),
            ],
            [
                fleets.instance('large', 'hot', cpu=8, memory_gib=60),
                *(
                    fleets.instance(f'i{row}', f'h{row % 6}', cpu=0.4)
                    for row in range(24)
                ),
                *(fleets.instance(f'j{row}', 'h0', cpu=0.4) for row in '12'),
            ],
        )
        for limits in (context.Limits(), context.Limits(budget_seconds=1)):
            # there is time for one move at least
            clock = itertools.count(0.0, 0.2)
            made = SPREAD.propose(
                fleet,
                plans.full_context(
                    limits=limits, elapsed=lambda clock=clock: next(clock)
                ),
            )
            with self.subTest(limits=limits):
                self.assertEqual((), made.moves, made.summary)
                self.assertIn('would only bring it to', made.summary)

    def test_the_last_moves_that_hardly_help_are_not_made(self):
        """One large step is worth it; even the slightest is, if wanted."""
        fleet = fleets.build(
            [fleets.host('hot', cpu_overhead=4)]
            + [fleets.host(f'h{row}') for row in range(7)],
            [
                fleets.instance('large', 'hot', cpu=3),
                *(
                    fleets.instance(f'i{row}', f'h{row % 7}', cpu=0.2)
                    for row in range(14)
                ),
                *(fleets.instance(f'j{row}', 'h0', cpu=0.05) for row in '12'),
            ],
        )
        for eagerness, least, most in ((4, 1, 1), (5, 2, 16)):
            made = spread.Spread(spread.SpreadParams(target=0.05)).propose(
                fleet, plans.full_context(worth=worth.Params(eagerness))
            )
            with self.subTest(eagerness=eagerness):
                self.assertLessEqual(least, len(made.moves), made.summary)
                self.assertLessEqual(len(made.moves), most, made.summary)
                self.assertEqual('large', made.moves[0].instance)
                self.assertEqual(
                    eagerness < 5, 'more would only' in made.summary
                )

    def test_what_cut_it_short_is_said_and_what_was_made_is_kept(self):
        """However little nearer it brings the spread."""
        fleet = fleets.skewed(40, 400)
        for limits, late, most, said in (
            (context.Limits(max_moves=1), False, 1, 'moves or GiB'),
            (context.Limits(max_moves=1, budget_seconds=1), True, 0, 'time'),
            (context.Limits(max_mib=600.0), False, 3, 'moves or GiB'),
        ):
            made = SPREAD.propose(
                fleet,
                plans.full_context(
                    limits=limits, elapsed=lambda late=late: 2.0 * late
                ),
            )
            with self.subTest(said):
                self.assertLessEqual(len(made.moves), most)
                self.assertEqual(bool(made.moves), not late)
                self.assertIn(f'reached its limit of {said}', made.summary)

    def test_an_affinity_group_moves_as_one(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=4), fleets.host('b')],
            [
                fleets.instance('x', 'a', cpu=1, groups=('g',)),
                fleets.instance('y', 'a', cpu=1, groups=('g',)),
            ],
            [fleets.group('g', fleets.fleet.GroupPolicy.AFFINITY)],
        )
        found = moves(SPREAD, fleet)
        self.assertEqual([('x', 'b'), ('y', 'b')], found)

    def test_a_search_that_is_out_of_time_returns_what_it_has(self):
        limits = context.Limits(budget_seconds=1)
        found = moves(SPREAD, self.fleet(), limits=limits, elapsed=lambda: 2.0)
        self.assertEqual([], found)


class Raising(base.Policy):
    """Moves something, and then fails."""

    name = 'raising'

    def trigger(self, fleet):
        return base.Trigger(0, 0, 0, '')

    def search(self, work):
        work.move(0, 1)
        raise RuntimeError('oops')


class TestComposition(unittest.TestCase):
    """Several policies, and plugins that fail."""

    def fleet(self):
        return fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance(str(n), 'a', cpu=1) for n in range(9)],
        )

    def test_the_second_goes_on_where_the_first_stopped(self):
        made = composition.propose(
            (RELIEVE, SPREAD), self.fleet(), plans.full_context()
        )
        self.assertEqual('relieve,spread', made.policy)
        self.assertEqual(4, len(made.moves))
        self.assertIn('brought under it in 1 move; CPU spread', made.summary)

    def test_a_policy_that_raises_costs_only_itself(self):
        made = composition.propose(
            (RELIEVE, Raising(), SPREAD), self.fleet(), plans.full_context()
        )
        alone = composition.propose(
            (RELIEVE, SPREAD), self.fleet(), plans.full_context()
        )
        self.assertEqual(alone.moves, made.moves)
        self.assertEqual(
            ('policy raising is left out: RuntimeError: oops',), made.warnings
        )

    def test_a_filter_that_raises_refuses_and_is_named(self):
        class Broken(filter_base.Filter):
            name = 'broken'

            def passes(self, state, instances, hosts):
                raise RuntimeError('oops')

            def reason(self, state, instance):
                raise RuntimeError('oops again')

        made = SPREAD.propose(
            self.fleet(),
            plans.full_context(filters=(*plans.FILTERS, Broken())),
        )
        self.assertEqual((), made.moves)
        self.assertEqual(
            (
                'filter broken refuses what it cannot judge: '
                'RuntimeError: oops',
            ),
            made.warnings,
        )

    def test_a_filter_that_raises_for_one_costs_it_alone(self):
        """The plan is that of a filter that refuses the same instance."""

        class Fails(filter_base.Filter):
            name = 'fails'
            dynamic = True

            def __init__(self, raises):
                super().__init__()
                self._raises = raises

            def passes(self, state, instances, hosts):
                bad = instances == 0
                if self._raises and bad.any():
                    raise KeyError('no tag')
                return np.broadcast_to(
                    ~bad[:, None], (len(instances), len(hosts))
                )

            def reason(self, state, instance):
                return 'are not for it'

        fleet = self.fleet()
        for policy in (RELIEVE, SPREAD):
            raising, refusing = (
                policy.propose(
                    fleet,
                    plans.full_context(
                        filters=(*plans.FILTERS, Fails(raises))
                    ),
                )
                for raises in (True, False)
            )
            with self.subTest(policy.name):
                self.assertTrue(raising.moves)
                self.assertEqual(refusing.moves, raising.moves)
                self.assertEqual((), refusing.warnings)
                self.assertEqual(
                    (
                        'filter fails refuses what it cannot judge: '
                        "KeyError: 'no tag'",
                    ),
                    raising.warnings,
                )

    def test_a_weigher_that_raises_is_left_out_and_named(self):
        class Broken(weigher_base.Weigher):
            name = 'broken'

            def weigh(self, state, instance, hosts):
                return [float('nan')] * len(hosts)

        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b'), fleets.host('c')],
            [fleets.instance(str(n), 'a', cpu=1) for n in range(9)],
        )
        weighers = (*plans.WEIGHERS, weigher_base.Weighted(Broken()))
        made = RELIEVE.propose(fleet, plans.full_context(weighers=weighers))
        self.assertEqual(1, len(made.moves))
        self.assertEqual(
            (
                'weigher broken is left out: ValueError: not one finite '
                'weight for each of 2 hosts',
            ),
            made.warnings,
        )

    def test_weighers_decide_among_even_places(self):
        class Last(weigher_base.OneByOne):
            name = 'last'

            def weigh_host(self, state, instance, host):
                return host

        fleet = fleets.build(
            [fleets.host(name) for name in 'abcd'],
            [fleets.instance(str(n), 'a', cpu=1) for n in range(9)],
        )
        for multiplier, expected in ((1.0, 'd'), (-1.0, 'b')):
            with self.subTest(multiplier):
                weighted = weigher_base.Weighted(Last(), multiplier)
                found = moves(RELIEVE, fleet, weighers=(weighted,))
                self.assertEqual([('0', expected)], found)


if __name__ == '__main__':
    unittest.main()
