"""A fleet in which instances have gone elsewhere."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies
import numpy as np

from kvm_balancer.model import placement
from tests.fixtures import fleets

SUMS = ('allocated', 'cores', 'cpu_load', 'memory_load')


class RelocatedTest(unittest.TestCase):
    """Sums that are carried on are those of the fleet as it is then."""

    @hypothesis.given(fleets.small(), strategies.data())
    def test_as_if_it_were_added_up_again(self, fleet, data):
        count = len(fleet.instances)
        rows = np.array(
            data.draw(
                strategies.lists(
                    strategies.integers(0, count - 1), unique=True
                )
                if count
                else strategies.just([])
            ),
            np.int32,
        )
        hosts = np.array(
            [
                data.draw(strategies.integers(0, len(fleet.hosts) - 1))
                for _ in rows
            ],
            np.int32,
        )
        where = fleet.instances.host.copy()
        where[rows] = hosts
        found = fleet.relocated(rows, hosts)
        anew = dataclasses.replace(
            fleet, instances=dataclasses.replace(fleet.instances, host=where)
        )
        np.testing.assert_array_equal(where, found.instances.host)
        for name in SUMS:
            np.testing.assert_allclose(
                getattr(found, name), getattr(anew, name), atol=1e-6
            )
        np.testing.assert_allclose(
            placement.Placement(found).room,
            placement.Placement(anew).room,
            atol=1e-6,
        )

    @hypothesis.given(fleets.small())
    def test_who_needs_more_by_now_is_not_taken_for_what_it_was(self, fleet):
        before = fleet.need
        grown = fleet.updated(
            fleet.taken_at,
            fleet.hosts,
            dataclasses.replace(
                fleet.instances, memory_mib=fleet.instances.memory_mib + 1.0
            ),
        )
        np.testing.assert_array_equal(before[0] + 1.0, grown.need[0])
