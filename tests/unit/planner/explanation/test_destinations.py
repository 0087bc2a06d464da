"""Why this host: what decided is told, and no two figures that are even."""

import re
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner.explanation import answers
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

#: two figures that are held against each other
_COMPARED = (
    r'than ([\d.]+\d); second best is \S+ ([\d.]+\d)',
    r'like it best, ([\d.]+\d); \S+ is next, ([\d.]+\d)',
    r'lowest CPU load, ([\d.]+\d); \S+ would be at ([\d.]+\d)',
    r'CPU spread of ([\d.]+\d), and not ([\d.]+\d)',
    r'than its ([\d.]+\d) by this move alone, \S+ the lowest, ([\d.]+\d)',
)


def explained(fleet, *policies, **fields):
    context = plans.full_context(**fields)
    made = composition.propose(policies, fleet, context)
    return answers.Answers(fleet, context, made).plan()


def why(fleet, *policies, **fields):
    """Return why the first move goes where it goes, and where that is."""
    first = explained(fleet, *policies, **fields).moves[0]
    return first.destination, first.why_host


class DecidedTest(unittest.TestCase):
    """Each policy goes by something else."""

    def broken(self, *hosts):
        return fleets.build(
            [fleets.host('a'), *hosts],
            [
                fleets.instance('1', 'a', 0.0, groups=('g',)),
                fleets.instance('2', 'a', 0.0, groups=('g',)),
            ],
            [fleets.group('g')],
        )

    def test_what_has_to_go_goes_where_the_weighers_like_it(self):
        small = fleets.host('b', memory_gib=8)
        fleet = self.broken(small, fleets.host('c'))
        there, told = why(fleet, repair.Repair())
        self.assertEqual('c', there)
        self.assertIn('the weighers (cpu, memory, bandwidth) like it', told)
        self.assertIn('b is next', told)
        self.assertNotIn('CPU spread', told)

    def test_of_even_hosts_the_first_is_taken(self):
        fleet = self.broken(fleets.host('b'), fleets.host('c'))
        there, told = why(fleet, repair.Repair())
        self.assertEqual('b', there)
        self.assertIn('like 1 other as much, and it comes first', told)

    def test_a_group_gathers_where_others_of_it_are(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abc'],
            [
                fleets.instance('1', 'a', groups=('g',)),
                fleets.instance('2', 'b', groups=('g',)),
                fleets.instance('3', 'b', groups=('g',)),
            ],
            [fleets.group('g', columns.GroupPolicy.AFFINITY)],
        )
        there, told = why(fleet, repair.Repair())
        self.assertEqual('b', there)
        self.assertIn('2 instances of group g', told)

    def test_a_drain_says_how_little_it_brings_to_each(self):
        fleet = fleets.build(
            [
                fleets.host('a', state=columns.HostState.DRAINING),
                fleets.host('b', memory_gib=32),
                fleets.host('c', memory_gib=64),
            ],
            [fleets.instance(str(one), 'a', 0.1) for one in range(3)],
        )
        found = explained(fleet, drain.Drain()).moves
        told = {one.destination: one.why_host for one in found}
        self.assertIn('the drain brings 1 instance here', told['b'])
        self.assertIn(
            'brings each as little as it can: 2 instances here, 1 to 1',
            told['c'],
        )

    def test_of_even_spreads_the_less_loaded_host_is_named(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abc'],
            [
                *(fleets.instance(str(one), 'a', 2.0) for one in range(4)),
                fleets.instance('there', 'b', 0.5),
            ],
        )
        there, told = why(
            fleet, spread.Spread(spread.SpreadParams(target=0.05))
        )
        self.assertEqual('c', there)
        self.assertIn('second best is b', told)

    def test_it_says_what_the_move_gains(self):
        fleet = self.broken(fleets.host('b'), fleets.host('c'))
        (only,) = explained(fleet, repair.Repair(), plans.RELIEVE).moves
        self.assertEqual('broken rules 1 -> 0, 100% of the way', only.gain)


class NothingEvenTest(unittest.TestCase):
    """No explanation holds two figures that read the same against another."""

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        fleets.small(),
        st.lists(
            st.sampled_from(plans.POLICIES),
            min_size=1,
            max_size=3,
            unique=True,
        ),
    )
    def test_figures_that_are_compared_differ(self, fleet, policies):
        for move in explained(fleet, *policies).moves:
            told = [move.why_host, move.why_instance]
            told += [rival.text for rival in move.rivals]
            for text in told:
                for pattern in _COMPARED:
                    for one, other in re.findall(pattern, text):
                        self.assertNotEqual(one, other, text)


if __name__ == '__main__':
    unittest.main()
