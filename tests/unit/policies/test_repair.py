"""Repair mends rules, and touches nothing else."""

import unittest

import hypothesis

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import rules
from kvm_balancer.policies import repair
from tests.fixtures import fleets
from tests.unit.planner import plans

REPAIR = repair.Repair()
TOGETHER = fleets.group('together', columns.GroupPolicy.AFFINITY)


def after(fleet, made):
    return fleets.moved(fleet, made.moves).instances.host


class TestRepair(unittest.TestCase):
    """Fewest moves until rules hold."""

    def propose(self, hosts, instances, groups=(), **fields):
        self.fleet = fleets.build(hosts, instances, groups)
        return REPAIR.propose(self.fleet, plans.full_context(**fields))

    def moves(self, *arguments):
        made = self.propose(*arguments)
        return [(one.instance, one.destination) for one in made.moves]

    def test_of_two_that_must_not_meet_the_cheaper_leaves(self):
        found = self.moves(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance('large', 'a', memory_gib=8, groups=('g',)),
                fleets.instance('small', 'a', memory_gib=2, groups=('g',)),
                fleets.instance('other', 'a'),
            ],
            [fleets.group('g')],
        )
        self.assertEqual([('small', 'b')], found)

    def test_a_group_may_have_as_many_on_a_host_as_it_says(self):
        found = self.moves(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance(str(n), 'a', groups=('g',)) for n in range(3)],
            [fleets.group('g', max_per_host=2)],
        )
        self.assertEqual(1, len(found))

    def test_a_group_gathers_where_most_of_it_is(self):
        found = self.moves(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance('1', 'a', groups=('together',)),
                fleets.instance('2', 'b', groups=('together',)),
                fleets.instance('3', 'b', groups=('together',)),
            ],
            [TOGETHER],
        )
        self.assertEqual([('1', 'b')], found)

    def test_a_group_gathers_elsewhere_where_it_does_not_fit(self):
        found = self.moves(
            [
                fleets.host('a', memory_gib=8),
                fleets.host('b', memory_gib=8),
                fleets.host('c', memory_gib=16),
            ],
            [
                fleets.instance('1', 'a', memory_gib=6, groups=('together',)),
                fleets.instance('2', 'b', memory_gib=6, groups=('together',)),
            ],
            [TOGETHER],
        )
        self.assertEqual([('1', 'c'), ('2', 'c')], sorted(found))

    def test_an_instance_goes_to_its_aggregate(self):
        found = self.moves(
            [fleets.host('a'), fleets.host('b', aggregates=('ssd',))],
            [fleets.instance('1', 'a', required_aggregates=('ssd',))],
        )
        self.assertEqual([('1', 'b')], found)

    def test_a_group_gathers_where_all_of_it_may_be(self):
        """One that is without its aggregate is not gone to."""
        found = self.moves(
            [fleets.host('a', aggregates=('ssd',)), fleets.host('b')],
            [
                fleets.instance('1', 'a', memory_gib=1, groups=('together',)),
                fleets.instance(
                    '2',
                    'b',
                    memory_gib=8,
                    groups=('together',),
                    required_aggregates=('ssd',),
                ),
            ],
            [TOGETHER],
        )
        self.assertEqual([('2', 'a')], found)

    def test_what_cannot_be_mended_says_why_and_moves_nothing(self):
        made = self.propose(
            [fleets.host('a', memory_gib=8), fleets.host('b', memory_gib=4)],
            [
                fleets.instance('1', 'a', groups=('g',)),
                fleets.instance('2', 'a', groups=('g',)),
                fleets.instance('3', 'b'),
            ],
            [fleets.group('g')],
        )
        self.assertEqual((), made.moves)
        self.assertEqual({'1', '2'}, {one.instance for one in made.unplaced})
        self.assertIn(
            'group g has 1 too many on one host: of 1 other hosts, 1 lack',
            made.unplaced[0].reason,
        )

    def test_the_trigger_names_a_broken_rule(self):
        fleet = fleets.build(
            [fleets.host('a')],
            [fleets.instance(str(n), 'a', groups=('g',)) for n in range(2)],
            [fleets.group('g')],
        )
        trigger = REPAIR.trigger(fleet)
        self.assertEqual(1, trigger.level)
        self.assertEqual(
            '1 hard rules are broken; group g has 1 too many on one host',
            trigger.text,
        )

    def test_nothing_is_moved_that_does_not_help(self):
        """Two that have to be together and must not meet stay, and why."""
        groups = ('together', 'apart')
        made = self.propose(
            [fleets.host(name) for name in 'abc'],
            [fleets.instance(name, 'a', groups=groups) for name in 'st'],
            [TOGETHER, fleets.group('apart')],
        )
        self.assertEqual((), made.moves)
        self.assertIn('0 of 1 broken rules', made.summary)
        for one in made.unplaced:
            self.assertIn('group apart has 1 too many', one.reason)
            self.assertIn('affinity group', one.reason)

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(fleets.small())
    def test_no_more_rules_are_broken_and_only_members_move(self, fleet):
        made = REPAIR.propose(fleet, plans.full_context())
        before = rules.broken(fleet, fleet.instances.host)
        left = rules.broken(fleet, after(fleet, made))
        self.assertLessEqual(
            sum(one.too_many for one in left),
            sum(one.too_many for one in before),
        )
        if made.moves:
            self.assertLess(
                sum(one.too_many for one in left),
                sum(one.too_many for one in before),
            )
        if not before:
            self.assertEqual((), made.moves)
        self.assertTrue(not left or made.unplaced)


if __name__ == '__main__':
    unittest.main()
