"""All filters as one question, asked of many instances or of a few."""

import unittest

import hypothesis
import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.planner import admission
from tests.fixtures import fleets
from tests.unit.planner import plans


class AdmissionTest(unittest.TestCase):
    @hypothesis.given(fleets.small())
    def test_asked_by_class_or_not_filters_say_the_same(self, fleet):
        state = placement.Placement(fleet)
        rows = np.arange(len(fleet.instances), dtype=np.int32)
        hosts = np.arange(len(fleet.hosts), dtype=np.int32)
        kept = admission.Admission(state, plans.FILTERS)
        asked = admission.Admission(state, plans.FILTERS, by_class=False)
        for row in rows:
            np.testing.assert_array_equal(
                kept.allowed(rows, hosts)[row],
                asked.allowed(np.array((row,), np.int32), hosts)[0],
            )
