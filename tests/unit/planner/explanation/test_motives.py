"""Why this instance: what the move is really made for."""

import unittest

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner.explanation import answers
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

GIB = fleets.GIB
#: of what may be in use of each reading, little
LIMITS = relieve_limits.RelieveParams(
    limit=0.8,
    margin=0.0,
    memory_limit=0.5,
    steal_limit=0.1,
    cpu_pressure_limit=0.5,
    memory_pressure_limit=0.2,
    io_pressure_limit=0.4,
)
#: what host a is over a limit of, with fields of it and of the one that
#: goes; and what is said of them
OVER = (
    (
        {},
        {'cpu': 5.0},
        'a is at 1.00 CPU, 2.00 cores too many for 0.80; this one has 5.00 '
        'cores, and is enough by itself; 2 more would do as well, and none '
        'copies less than its 1.0 GiB',
    ),
    (
        {'memory_used_mib': 34 * GIB},
        {'memory_usage_mib': 3 * GIB},
        'a is at 0.53 memory in use, 2048 MiB too many for 0.50; this one has '
        '3072 MiB, and is enough by itself; no other does as well',
    ),
    (
        {'memory_allocation_ratio': 9 / 64},
        {'memory_gib': 4, 'memory_usage_mib': GIB},
        'a is at 1.33 allocated memory, 3072 MiB too many for 1.00; this one '
        'has 4096 MiB, and is enough by itself; 2 more would do as well, and '
        'none copies less than its 1.0 GiB',
    ),
    (
        {},
        {'cpu_steal': 1.5},
        'a is at 0.15 steal, 0.50 cores too many for 0.10; this one has 4.00 '
        'cores, and is enough by itself',
    ),
    (
        {'cpu_pressure': 0.8},
        {'cpu': 3.0},
        'a is at 0.80 CPU pressure, 3.00 cores too many for 0.50; this one '
        'has 3.00 cores, and is enough by itself; no other does as well',
    ),
    (
        {'memory_pressure': 0.24},
        {'memory_usage_mib': 3 * GIB},
        'a is at 0.24 memory pressure, 853 MiB too many for 0.20',
    ),
    (
        {'io_pressure': 0.5},
        {'io_mib_s': 80.0},
        'a is at 0.50 I/O pressure, 36.0 MiB/s too many for 0.40; this one '
        'has 80.0 MiB/s, and is enough by itself',
    ),
)


def of_three(host, first):
    """A fleet of two hosts; a has three instances, one with *first*."""
    each = {'cpu': 2.5, 'memory_usage_mib': GIB, 'io_mib_s': 50.0}
    guests = [
        fleets.instance('first', 'a', **(each | first)),
        fleets.instance('second', 'a', **each),
        fleets.instance('third', 'a', **each),
    ]
    return fleets.build([fleets.host('a', **host), fleets.host('b')], guests)


def whys(fleet, *policies, **context):
    """Plan by *policies*; return why each instance goes, by its name."""
    context = plans.full_context(**context)
    made = composition.propose(policies, fleet, context)
    found = answers.Answers(fleet, context, made).plan()
    return {one.name: one for one in found.moves}


class WhyThisInstanceTest(unittest.TestCase):
    def test_a_reading_that_is_over_its_limit(self):
        for host, first, said in OVER:
            with self.subTest(said):
                fleet = of_three(host, first)
                (move,) = whys(fleet, relieve.Relieve(LIMITS)).values()
                self.assertIn(said, move.why_instance)
                self.assertNotIn('spread', move.why_instance)
                self.assertTrue(move.rivals)
                for rival in move.rivals:
                    self.assertIn('in use, copies', rival.text)

    def test_one_that_copies_less_and_was_not_taken(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b', memory_gib=4)],
            [
                fleets.instance(
                    'light', 'a', 4.5, memory_gib=8, memory_usage_mib=GIB
                ),
                fleets.instance('heavy', 'a', 4.5, memory_usage_mib=2 * GIB),
            ],
        )
        (move,) = whys(fleet, relieve.Relieve(LIMITS)).values()
        self.assertEqual('heavy', move.name)
        self.assertIn(
            'of which light copies less, 1.0 GiB and not 2.0 GiB',
            move.why_instance,
        )
        self.assertIn('no host takes it', move.rivals[0].text)

    def test_several_have_to_go(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance('one', 'a', 4.0),
                fleets.instance('two', 'a', 3.0),
                fleets.instance('three', 'a', 3.0),
            ],
        )
        policy = relieve.Relieve(relieve_limits.RelieveParams(0.45, 0.0))
        found = whys(fleet, policy)
        self.assertIn(
            'at least 2 of the 3 that may leave it have to',
            next(iter(found.values())).why_instance,
        )

    def test_a_host_that_the_plan_empties(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abcd'],
            [
                fleets.instance(f'{name}-{row}', name, 0.5)
                for row, name in enumerate('aabbcd')
            ],
        )
        found = whys(fleet, consolidate.Consolidate())
        self.assertTrue(found)
        for move in found.values():
            self.assertEqual(
                f'the plan empties {move.source}: whatever is on it leaves',
                move.why_instance,
            )
            self.assertIn('stay free on', move.why_host)
            self.assertNotIn('spread', move.why_host)

    def test_a_host_that_is_marked(self):
        fleet = fleets.build(
            [
                fleets.host('a', state=columns.HostState.DRAINING),
                fleets.host('b'),
            ],
            [fleets.instance('one', 'a')],
        )
        (move,) = whys(fleet, drain.Drain(), spread.Spread()).values()
        self.assertIn('a is draining', move.why_instance)

    def test_a_host_that_is_marked_and_only_relieved(self):
        fleet = fleets.build(
            [
                fleets.host('a', state=columns.HostState.DRAINING),
                fleets.host('b'),
            ],
            [fleets.instance(f'i{row}', 'a', 3.0) for row in range(3)],
        )
        (move,) = whys(fleet, relieve.Relieve(LIMITS)).values()
        self.assertIn('a is at 0.90 CPU, 1.00 cores too', move.why_instance)

    def test_one_that_makes_room(self):
        """b has cores for what a has too much of, and no memory."""
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=8),
                fleets.host('b', memory_gib=8),
                fleets.host('c', memory_gib=4),
            ],
            [
                fleets.instance('hot', 'a', 5.0, memory_gib=8),
                fleets.instance('fixed', 'a', 4.0, 0.001, movable=False),
                fleets.instance('small', 'b', 1.0, memory_gib=4),
            ],
        )
        found = whys(fleet, relieve.Relieve(LIMITS))
        self.assertEqual({'hot', 'small'}, set(found))
        self.assertEqual(
            'it makes room on b for hot', found['small'].why_instance
        )
        self.assertIn('a is at 0.90 CPU', found['hot'].why_instance)

    def test_evening_out_speaks_of_the_spread(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance('one', 'a', 4.0),
                fleets.instance('two', 'a', 3.0),
            ],
        )
        (move,) = whys(fleet, spread.Spread()).values()
        self.assertIn('spread', move.why_instance)


if __name__ == '__main__':
    unittest.main()
