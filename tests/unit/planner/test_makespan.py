"""How long moves take together, worked out by hand."""

import unittest

from kvm_balancer.planner import makespan
from tests.fixtures import fleets


def fleet_hosts(count=4, **fields):
    fields.setdefault('migration_mib_s', 100)
    return fleets.build(
        [fleets.host(f'h{row}', **fields) for row in range(count)], []
    ).hosts


def transfer(source, destination, mib=1000, rest=0, after=()):
    seconds = mib / 100 + rest
    return makespan.Transfer(source, destination, seconds, mib, after)


class TestMakespan(unittest.TestCase):
    """A network of 100 MiB/s, streams of 1000 MiB."""

    CASES = (
        ('nothing', (), 0),
        ('one move', (transfer(0, 1),), 10),
        ('time off the network counts', (transfer(0, 1, rest=3),), 13),
        ('strangers do not meet', (transfer(0, 1), transfer(2, 3)), 10),
        ('two share a network', (transfer(0, 1), transfer(0, 2)), 20),
        ('both ways do not share', (transfer(0, 1), transfer(1, 0)), 10),
        ('one waits', (transfer(0, 1), transfer(2, 3, after=(0,))), 20),
        (
            'the third waits for a slot',
            (transfer(0, 1, 400), transfer(0, 2), transfer(0, 3)),
            24,
        ),
        (
            'what is left of the network goes to who is left',
            (transfer(0, 1, 200), transfer(0, 2, 600)),
            8,
        ),
    )

    def test_table(self):
        for name, transfers, seconds in self.CASES:
            with self.subTest(name):
                hosts = fleet_hosts()
                found = makespan.seconds(hosts, transfers)
                self.assertAlmostEqual(seconds, found, places=5)
                self.assertLessEqual(
                    makespan.bound(hosts, transfers), found + 1e-6
                )

    def test_a_host_that_takes_nobody_keeps_moves_waiting_for_ever(self):
        hosts = fleet_hosts(max_incoming=0)
        self.assertEqual(
            float('inf'), makespan.seconds(hosts, (transfer(0, 1),))
        )

    def test_the_bound_knows_networks_and_slots(self):
        hosts = fleet_hosts(max_outgoing=1)
        transfers = [transfer(0, row, 10, rest=5) for row in (1, 2, 3)]
        self.assertAlmostEqual(15.3, makespan.bound(hosts, transfers))


if __name__ == '__main__':
    unittest.main()
