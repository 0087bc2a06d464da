"""The time that drains of tiny fleets take, against the shortest there is."""

import random
import unittest

from kvm_balancer.model import fleet as columns
from kvm_balancer.policies import drain
from tests.fixtures import exact_drain
from tests.fixtures import fleets
from tests.unit.planner import plans

#: fleets of which nine of ten plans take no twentieth longer than they must
FLEETS = 40
#: what every migration takes off the network, as it is predicted
REST_SECONDS = 2.25


def drawn(seed, most):
    """Return a fleet with hosts to be emptied, of at most so many moves."""
    rnd = random.Random(seed)
    draining = rnd.choice((1, 1, 2))
    hosts = [
        fleets.host(
            f'h{row}',
            migration_mib_s=float(exact_drain.BANDWIDTH_MIB_S),
            max_incoming=rnd.choice((1, 2, 2)),
            max_outgoing=rnd.choice((1, 2, 2)),
            state=columns.HostState.DRAINING
            if row < draining
            else columns.HostState.ENABLED,
        )
        for row in range(draining + 2)
    ]
    guests = [
        fleets.instance(
            f'i{row}',
            f'h{rnd.randrange(draining)}',
            0.2,
            memory_gib=rnd.randint(1, 3),
        )
        for row in range(rnd.randint(2, most))
    ]
    return fleets.build(hosts, guests)


def propose(fleet):
    made = drain.Drain().propose(fleet, plans.full_context())
    return made, [
        (
            fleet.instance_row[one.instance],
            fleet.host_row[one.source],
            fleet.host_row[one.destination],
        )
        for one in made.moves
    ]


class TestDrains(unittest.TestCase):
    def test_nobody_carries_the_moves_out_sooner_than_the_bound(self):
        for seed in range(10):
            fleet = drawn(seed, 3)
            made, moves = propose(fleet)
            shortest = exact_drain.at_best_times(
                fleet, moves, REST_SECONDS, made.makespan_seconds
            )
            with self.subTest(seed):
                self.assertLessEqual(
                    made.bound.makespan_seconds, shortest + 1e-6
                )
                self.assertLessEqual(
                    shortest,
                    made.makespan_seconds + 1 / exact_drain.TICKS_A_SECOND,
                )

    def test_nine_of_ten_are_as_quick_as_any_order_and_any_destinations(self):
        slow = []
        for seed in range(FLEETS):
            fleet = drawn(seed, 4)
            made, moves = propose(fleet)
            self.assertEqual(len(fleet.instances), len(moves))
            best = exact_drain.in_best_order(fleet, REST_SECONDS)
            self.assertLessEqual(best, made.makespan_seconds + 1e-6)
            if made.makespan_seconds > 1.05 * best:
                slow.append((seed, made.makespan_seconds, best))
        self.assertLessEqual(len(slow), FLEETS // 10, slow)


if __name__ == '__main__':
    unittest.main()
