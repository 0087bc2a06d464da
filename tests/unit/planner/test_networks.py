"""How slow a network migrations may go over, and who goes over which."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import networks
from kvm_balancer.planner import workspace
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

#: converges over the default 1120 MiB/s, and not over a tenth of it
_BUSY = {'dirty_rate_mib_s': 400.0}
_FAST, _SLOW = 1120.0, 112.0
_POLICIES = (
    drain.Drain(),
    relieve.Relieve(relieve_limits.RelieveParams(limit=0.5, margin=0.0)),
    spread.Spread(spread.SpreadParams(start=0.01, target=0.01)),
)


def _proposed(hosts, one, **fields):
    """Plan for one that may leave a, and one that may not."""
    stays = fleets.instance('stays', 'a', cpu=4.0, movable=False)
    fleet = fleets.build(hosts, [one, stays])
    return composition.propose(_POLICIES, fleet, plans.full_context(**fields))


def _between(speed, state=columns.HostState.ENABLED):
    """A hot host, one behind a slow network, and one of a *speed*."""
    return [
        fleets.host('a', migration_mib_s=_FAST, state=state),
        fleets.host('b', migration_mib_s=_SLOW),
        fleets.host('c', migration_mib_s=speed, cpu_overhead=0.5),
    ]


class PlanTest(unittest.TestCase):
    def test_who_needs_a_fast_network_goes_over_no_slow_one(self):
        """Though the host behind that is the colder one."""
        busy = fleets.instance('busy', 'a', cpu=4.0, **_BUSY)
        made = _proposed(_between(_FAST), busy)
        (move,) = made.moves
        self.assertEqual('c', move.destination)
        self.assertTrue(move.prediction.converges)

    def test_who_does_not_goes_where_it_did(self):
        calm = fleets.instance('calm', 'a', cpu=4.0)
        (move,) = _proposed(_between(_FAST), calm).moves
        self.assertEqual('b', move.destination)

    def test_where_all_networks_are_too_slow_it_stays(self):
        busy = fleets.instance('busy', 'a', cpu=4.0, **_BUSY)
        self.assertEqual((), _proposed(_between(_SLOW), busy).moves)

    def test_a_drain_says_that_the_networks_are_too_slow(self):
        busy = fleets.instance('busy', 'a', **_BUSY)
        draining = columns.HostState.DRAINING
        made = _proposed(
            _between(_SLOW, draining),
            busy,
            migration=scopes.Scopes(request.Options(auto_converge=False)),
        )
        self.assertEqual((), made.moves)
        (left, _) = made.unplaced
        self.assertIn('behind too slow a network', left.reason)

    def test_what_a_link_was_seen_to_carry_counts_as_well(self):
        book = correction.Corrections()
        raw = plan.Prediction(1.0, 1.0, 1000.0)
        for at in (0.0, 100.0):
            book.learn(
                correction.Lesson(
                    'other', ('a', 'c'), plan.Mode.PRE_COPY, at, at + 9.0,
                    raw, 1000.0, 9.0, None, None,
                )
            )  # fmt: skip
        busy = fleets.instance('busy', 'a', cpu=4.0, **_BUSY)
        hosts = [*_between(_FAST), fleets.host('d', cpu_overhead=1.0)]
        (move,) = _proposed(hosts, busy, corrections=book).moves
        self.assertEqual('d', move.destination)

    def test_networks_that_are_alike_ask_nothing(self):
        busy = fleets.instance('busy', 'a', cpu=4.0, **_BUSY)
        hosts = [
            dataclasses.replace(one, migration_mib_s=_FAST)
            for one in _between(_FAST)
        ]
        fleet = fleets.build(hosts, [busy])
        work = workspace.Workspace(fleet, plans.full_context())
        self.assertFalse(work.means.needed)

    @hypothesis.settings(max_examples=25)
    @hypothesis.given(
        speeds=st.lists(
            st.sampled_from((50.0, 112.0, 300.0, 1120.0)),
            min_size=2,
            max_size=6,
        ),
        dirty=st.lists(
            st.sampled_from((0.0, 40.0, 100.0, 400.0, 2000.0)),
            min_size=1,
            max_size=6,
        ),
        state=st.sampled_from(
            (columns.HostState.ENABLED, columns.HostState.DRAINING)
        ),
    )
    def test_no_move_is_planned_that_would_be_given_up(
        self, speeds, dirty, state
    ):
        hosts = [
            fleets.host(f'h{row}', migration_mib_s=speed)
            for row, speed in enumerate(speeds)
        ]
        hosts[0] = dataclasses.replace(hosts[0], state=state)
        fleet = fleets.build(
            hosts,
            [
                fleets.instance(str(row), 'h0', dirty_rate_mib_s=rate)
                for row, rate in enumerate(dirty)
            ],
        )
        made = composition.propose(_POLICIES, fleet, plans.full_context())
        for move in made.moves:
            self.assertIsNot(
                plan.Ending.GIVEN_UP, move.prediction.ending, move
            )


class LeastTest(unittest.TestCase):
    @hypothesis.given(
        wanted=st.floats(0.0, 100.0),
        slowest=st.floats(1.0, 100.0),
    )
    def test_it_is_enough_and_hardly_more(self, wanted, slowest):
        (found,) = networks.least(
            lambda _, mib_s: mib_s >= wanted,
            np.array([slowest]),
            np.array([100.0]),
        )
        if slowest >= wanted:
            self.assertEqual(0.0, found)
        else:
            self.assertGreaterEqual(found, wanted)
            self.assertLessEqual(found - wanted, (100.0 - slowest) / 1000.0)
