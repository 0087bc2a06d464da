"""Which allowed place is better, weigher by weigher."""

import unittest

import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.weighers import bandwidth
from kvm_balancer.weighers import base
from kvm_balancer.weighers import cpu
from kvm_balancer.weighers import memory
from tests.fixtures import fleets


def ranked(one, *hosts, others=()):
    """Return the names of *hosts*, the best for instance x first."""
    fleet = fleets.build(
        [fleets.host('home'), *hosts],
        [fleets.instance('x', 'home'), *others],
    )
    rows = np.arange(1, len(fleet.hosts), dtype=np.int32)
    weights = one.weigh(placement.Placement(fleet), 0, rows)
    order = np.argsort(-weights, kind='stable')
    return [fleet.hosts.name[row] for row in rows[order]]


class Alphabet(base.OneByOne):
    """Prefers hosts whose name is late in the alphabet."""

    name = 'alphabet'

    def weigh_host(self, state, instance, host):
        return float(ord(state.fleet.hosts.name[host][0]))


class TestWeighers(unittest.TestCase):
    """Better places first."""

    def test_cpu_prefers_the_share_that_is_left(self):
        found = ranked(
            cpu.CpuWeigher(),
            fleets.host('small', cpus=10, cpu_overhead=2),
            fleets.host('large', cpus=100, cpu_overhead=10),
        )
        self.assertEqual(['large', 'small'], found)

    def test_memory_prefers_the_share_that_is_left(self):
        found = ranked(
            memory.MemoryWeigher(),
            fleets.host('full', memory_gib=8),
            fleets.host('half', memory_gib=16),
            others=[fleets.instance('y', 'full', memory_gib=3)],
        )
        self.assertEqual(['half', 'full'], found)

    def test_bandwidth_prefers_the_faster_network(self):
        found = ranked(
            bandwidth.BandwidthWeigher(),
            fleets.host('slow', migration_mib_s=100),
            fleets.host('fast', migration_mib_s=1000),
        )
        self.assertEqual(['fast', 'slow'], found)

    def test_bandwidth_counts_what_the_plan_brings_already(self):
        fleet = fleets.build(
            [fleets.host(name) for name in ('home', 'busy', 'idle')],
            [fleets.instance('x', 'home'), fleets.instance('y', 'home')],
        )
        state = placement.Placement(fleet)
        state.move((1,), fleet.host_row['busy'])
        rows = np.array([1, 2], np.int32)
        busy, idle = bandwidth.BandwidthWeigher().weigh(state, 0, rows)
        self.assertLess(busy, idle)

    def test_a_plain_function_is_adapted(self):
        found = ranked(Alphabet(), fleets.host('a'), fleets.host('b'))
        self.assertEqual(['b', 'a'], found)

    def test_weights_are_brought_to_0_to_1(self):
        for weights, expected in (
            ([3, 5, 4], [0, 1, 0.5]),
            ([2, 2], [0, 0]),
            ([-1], [0]),
        ):
            with self.subTest(weights):
                found = base.normalised(np.array(weights, np.float64))
                self.assertEqual(expected, found.tolist())


if __name__ == '__main__':
    unittest.main()
