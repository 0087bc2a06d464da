"""A part of a fleet is what a fleet of these hosts alone would be."""

import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import excerpt
from tests.fixtures import fleets


class ExcerptTest(unittest.TestCase):
    def test_all_hosts_are_the_fleet_itself(self):
        fleet = fleets.skewed(4, 20)
        everywhere = np.ones(4, np.bool_)
        self.assertIs(fleet, excerpt.of_hosts(fleet, everywhere))

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(fleets.small(), st.randoms())
    def test_hosts_and_instances_are_as_they_were(self, fleet, rnd):
        kept = np.array([rnd.random() < 0.5 for _ in fleet.hosts.name])
        part = excerpt.of_hosts(fleet, kept)
        rows = np.flatnonzero(kept).tolist()
        self.assertEqual(
            [fleet.hosts.name[row] for row in rows], [*part.hosts.name]
        )
        np.testing.assert_allclose(fleet.cpu_load[rows], part.cpu_load)
        np.testing.assert_allclose(fleet.memory_load[rows], part.memory_load)
        for row, uid in enumerate(part.instances.id):
            before = fleet.instance_row[uid]
            self.assertEqual(
                fleet.hosts.name[fleet.instances.host[before]],
                part.hosts.name[part.instances.host[row]],
            )
            self.assertEqual(
                fleet.groups_of.get(before, ()),
                part.groups_of.get(row, ()),
            )
        self.assertEqual(
            int(kept[fleet.instances.host].sum()), len(part.instances)
        )


if __name__ == '__main__':
    unittest.main()
