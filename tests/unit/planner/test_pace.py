"""What moves cost more over networks that are slower than others."""

import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import workspace
from kvm_balancer.planner import worth
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

_FAST, _SLOW = 1120.0, 56.0
_EVEN = spread.Spread(spread.SpreadParams(start=0.2, target=0.2))
_RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.5, margin=0.0))
_EMPTY = consolidate.Consolidate(consolidate.ConsolidateParams(failures=0))


def _hosts(**speeds):
    return [
        fleets.host(name, migration_mib_s=speed)
        for name, speed in speeds.items()
    ]


def _proposed(hosts, instances, *policies, **fields):
    fleet = fleets.build(hosts, instances)
    return composition.propose(policies, fleet, plans.full_context(**fields))


def _hot(home='a'):
    """What makes a host hot: one that may go, and one that may not."""
    return [
        fleets.instance('goes', home, cpu=3.0),
        fleets.instance('stays', home, cpu=3.0, movable=False),
    ]


class ChoiceTest(unittest.TestCase):
    def test_of_places_as_good_the_one_that_is_reached_sooner_wins(self):
        """A little colder is no better."""
        for prefer in contexts.Prefer:
            for slow, fast in ('bc', 'cb'):
                hosts = [
                    fleets.host('a', migration_mib_s=_FAST),
                    fleets.host(slow, migration_mib_s=_SLOW),
                    fleets.host(fast, migration_mib_s=_FAST, cpu_overhead=0.1),
                ]
                hosts.sort(key=lambda one: one.name)
                made = _proposed(hosts, _hot(), _EVEN, prefer=prefer)
                with self.subTest(prefer, slow=slow):
                    (move,) = made.moves
                    self.assertEqual(fast, move.destination)

    def test_a_drain_sends_nothing_where_that_would_be_on_its_way_last(self):
        leaving = fleets.host(
            'a', migration_mib_s=_FAST, state=columns.HostState.DRAINING
        )
        made = _proposed(
            [leaving, *_hosts(b=_FAST, c=_SLOW, d=_FAST)],
            [fleets.instance(str(number), 'a') for number in range(6)],
            drain.Drain(),
        )
        self.assertEqual(6, len(made.moves))
        self.assertNotIn('c', {move.destination for move in made.moves})


class WorthTest(unittest.TestCase):
    """What it is worth over a fast network, it is not over any."""

    def test_where_only_a_slow_network_leads_it_is_not_worth_it(self):
        # a second of the full bandwidth, and twenty of the other's
        eager = worth.Params(eagerness=4, horizon_seconds=20.0)
        for policy in (_EVEN, _RELIEVE):
            for speed, moved in ((_FAST, 1), (_SLOW, 0)):
                made = _proposed(
                    _hosts(a=_FAST, b=speed), _hot(), policy, worth=eager
                )
                with self.subTest(policy, speed=speed):
                    self.assertEqual(moved, len(made.moves))

    def test_a_host_is_not_emptied_over_a_slow_network_in_vain(self):
        eager = worth.Params(eagerness=4, horizon_seconds=20.0)
        guests = [
            fleets.instance('one', 'a', cpu=0.5),
            fleets.instance('two', 'b', cpu=0.5, movable=False),
        ]
        for speed, moved in ((_FAST, 1), (_SLOW, 0)):
            made = _proposed(
                _hosts(a=_FAST, b=speed), guests, _EMPTY, worth=eager
            )
            with self.subTest(speed):
                self.assertEqual(moved, len(made.moves))


class TableTest(unittest.TestCase):
    @hypothesis.settings(max_examples=30)
    @hypothesis.given(
        speeds=st.lists(st.floats(20.0, 2000.0), min_size=2, max_size=5),
        grouped=st.booleans(),
    )
    def test_it_is_what_the_slower_network_takes_longer(self, speeds, grouped):
        """Of memory that nobody writes to: but for a step of a tenth."""
        hosts = _hosts(**{f'h{n}': speed for n, speed in enumerate(speeds)})
        fleet = fleets.build(
            hosts,
            [
                fleets.instance(str(n), 'h0', groups=('g',) * grouped)
                for n in range(3)
            ],
            [fleets.group('g', columns.GroupPolicy.AFFINITY)],
        )
        work = workspace.Workspace(fleet, plans.full_context())
        units = np.arange(len(work.units), dtype=np.int32)
        rows = np.arange(len(speeds), dtype=np.int32)
        more = work.pace.more(units, rows)
        full = work.means.core_seconds
        for row, speed in enumerate(speeds):
            wanted = work.units.total(
                work.means.forecast.over(
                    np.arange(3, dtype=np.int32),
                    np.full(3, min(speed, speeds[0])),
                )[0]
                - full
            )
            found = 0.0 if more is None else more.core_seconds[:, row]
            off = 0.06 * (wanted + work.units.total(full))
            self.assertTrue((abs(found - wanted) <= off).all(), row)

    def test_where_networks_are_alike_nothing_is_asked(self):
        fleet = fleets.build(_hosts(a=_SLOW, b=_SLOW), _hot())
        work = workspace.Workspace(fleet, plans.full_context())
        rows = np.arange(2, dtype=np.int32)
        self.assertTrue(work.pace.even)
        self.assertIsNone(work.pace.more(rows, rows))

    def test_a_faster_network_costs_no_less(self):
        fleet = fleets.build(_hosts(a=_SLOW, b=_FAST), _hot())
        work = workspace.Workspace(fleet, plans.full_context())
        rows = np.arange(2, dtype=np.int32)
        self.assertFalse(work.pace.even)
        self.assertIsNone(work.pace.more(rows, rows))
