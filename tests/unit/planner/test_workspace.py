"""What is taken back has never been."""

import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.planner import context
from kvm_balancer.planner import workspace
from tests.fixtures import fleets
from tests.unit.planner import plans


def carried_out(work, steps):
    """Make so many moves, each unit's to the next host."""
    hosts = len(work.fleet.hosts)
    for unit in np.flatnonzero(work.free)[:steps].tolist():
        work.move(unit, (work.home(unit) + 1) % hosts)


class TestRewind(unittest.TestCase):
    """Whether much or little is taken back."""

    @hypothesis.settings(deadline=None, max_examples=50)
    @hypothesis.given(fleets.small(), st.integers(0, 8), st.integers(0, 8))
    def test_all_is_as_it_was_before(self, fleet, made, kept):
        limited = plans.full_context(limits=context.Limits(max_mib=1e9))
        work, fresh = (workspace.Workspace(fleet, limited) for _ in range(2))
        carried_out(work, made)
        work.rewind(min(kept, made))
        carried_out(fresh, min(kept, made))
        self.assertEqual(fresh.steps, work.steps)
        self.assertEqual(fresh.moves, work.moves)
        self.assertAlmostEqual(fresh.moved_mib, work.moved_mib)
        np.testing.assert_array_equal(fresh.free, work.free)
        np.testing.assert_array_equal(fresh.state.host, work.state.host)
        for name in ('room', 'cores', 'incoming_mib', 'outgoing_mib'):
            np.testing.assert_allclose(
                getattr(work.state, name),
                getattr(fresh.state, name),
                atol=1e-9,
            )


if __name__ == '__main__':
    unittest.main()
