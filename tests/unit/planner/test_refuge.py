"""Where room for a failure is asked for, each instance has a place."""

import math
import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.filters import headroom
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import failover
from kvm_balancer.planner import refuge
from kvm_balancer.planner import supply
from kvm_balancer.planner import workspace
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

ASKED = (*plans.FILTERS, headroom.HeadroomFilter())
POLICIES = (
    repair.Repair(),
    drain.Drain(),
    relieve.Relieve(relieve_limits.RelieveParams(0.3, 0.0)),
    spread.Spread(spread.SpreadParams(target=0.02)),
    consolidate.Consolidate(consolidate.ConsolidateParams(failures=0)),
)


def propose(fleet, *policies, filters=ASKED):
    return composition.propose(
        policies, fleet, plans.full_context(filters=filters)
    )


def scarce():
    """Of two hosts one takes x from hot, or in need the 12 GiB of b."""
    return fleets.build(
        [
            fleets.host('hot', memory_gib=16),
            fleets.host('b', memory_gib=16),
            fleets.host('c', memory_gib=16),
        ],
        [
            fleets.instance('x', 'hot', 4.0, memory_gib=6),
            fleets.instance('y', 'hot', 4.0, memory_gib=6),
            fleets.instance('large', 'b', 1.0, memory_gib=12),
        ],
    )


def counted(fleet):
    enabled = fleet.hosts.state == columns.HostState.ENABLED
    return enabled & ~fleet.hosts.silent


def sent(fleet):
    """Return where each instance would go before anything is moved."""
    work = workspace.Workspace(fleet, plans.full_context())
    offered = supply.capacities(fleet, math.inf)
    asked = failover.Failover(work.state, work.admission, offered)
    goes = np.full(len(fleet.instances), -1, np.int32)
    for zone in range(len(fleet.zones)):
        active = counted(fleet) & (fleet.hosts.zone == zone)
        found = asked.settle(active, supply.used(work.state))
        goes = np.maximum(goes, found)
    return goes


def settled(fleet):
    """Say which instances have a refuge before anything is moved."""
    return sent(fleet) >= 0


def fits(rows, work, allowed):
    """Say whether *rows* fit on hosts, by trying everything.

    One after the other, with room and rules as they are when it comes.

    :param allowed: hosts that are in use, shape ``(hosts,)``
    """
    if not rows:
        return True
    state, (first, *others) = work.state, rows
    row = np.array((first,), np.int32)
    home = int(state.host[first])
    hosts = np.flatnonzero(allowed).astype(np.int32)
    passed = work.admission.among_rules(row, hosts)[0]
    for host in hosts[passed].tolist():
        if (state.need[:, first] <= state.room[:, host] + 1e-6).all():
            state.move(row, host)
            done = fits(others, work, allowed)
            state.take_back(row, home)
            if done:
                return True
    return False


def homeless(fleet, made, promised):
    """Name the hosts that may not fail after a plan.

    :param promised: instances that had a place before
    """
    work = workspace.Workspace(fleet, plans.full_context())
    for move in made.moves:
        row = np.array((fleet.instance_row[move.instance],), np.int32)
        work.state.move(row, fleet.host_row[move.destination])
    state, found = work.state, []
    for failed in np.flatnonzero(counted(fleet)).tolist():
        others = counted(fleet)
        others &= fleet.hosts.zone == fleet.hosts.zone[failed]
        others[failed] = False
        mine = np.flatnonzero((state.host == failed) & promised)
        if not fits(mine.tolist(), work, others):
            found.append(fleet.hosts.name[failed])
    return found


class TestRefuges(unittest.TestCase):
    def test_what_was_sent_first_goes_elsewhere_where_others_need_that(self):
        """The small one liked the only host that takes a large one."""
        fleet = fleets.build(
            [
                fleets.host(name, memory_gib=size)
                for name, size in (('s', 32), ('a', 12), ('b', 8))
            ],
            [
                fleets.instance(name, 's', memory_gib=size, vcpus=1)
                for name, size in (('x', 4), ('y', 8), ('z', 8))
            ],
        )
        self.assertEqual([True] * 3, settled(fleet).tolist())

    def test_nobody_takes_the_only_place_of_another(self):
        policy = spread.Spread(spread.SpreadParams(target=0.05))
        self.assertTrue(propose(scarce(), policy, filters=plans.FILTERS).moves)
        made = propose(scarce(), policy)
        self.assertEqual((), made.moves)

    def test_what_has_to_go_stays_for_that_and_says_so(self):
        """There is room in all, and none for what runs on a and b."""
        fleet = fleets.build(
            [
                fleets.host('d', state=columns.HostState.DRAINING),
                *(fleets.host(name, memory_gib=16) for name in 'abc'),
            ],
            [
                fleets.instance('x', 'd', memory_gib=6),
                fleets.instance('l', 'a', memory_gib=11),
                fleets.instance('m', 'b', memory_gib=11),
            ],
        )
        made = propose(fleet, drain.Drain(), filters=plans.FILTERS)
        self.assertTrue(made.moves)
        made = propose(fleet, drain.Drain())
        self.assertEqual((), made.moves)
        told = ' '.join(one.reason for one in made.unplaced)
        self.assertIn('if its host failed', told)

    def test_who_has_no_place_to_begin_with_is_not_waited_for(self):
        fleet = fleets.build(
            [
                fleets.host('hot', memory_gib=16),
                fleets.host('b', memory_gib=32),
                fleets.host('c', memory_gib=16),
            ],
            [
                fleets.instance('x', 'hot', 4.0, memory_gib=6),
                fleets.instance('y', 'hot', 4.0, memory_gib=6),
                fleets.instance('large', 'b', 1.0, memory_gib=20),
            ],
        )
        policy = spread.Spread(spread.SpreadParams(target=0.1))
        made = propose(fleet, policy)
        self.assertEqual(['c'], [one.destination for one in made.moves])

    def test_without_failures_nothing_is_kept(self):
        none = headroom.HeadroomFilter(headroom.HeadroomParams(failures=0))
        made = propose(
            scarce(), spread.Spread(), filters=(*plans.FILTERS, none)
        )
        self.assertTrue(made.moves)

    def test_companions_of_a_host_are_not_promised_the_same_place(self):
        """Each of a and b runs one of the two that it may already."""
        fleet = fleets.build(
            [fleets.host(name, memory_gib=16) for name in 'sab'],
            [
                fleets.instance(name, name[0], memory_gib=1, groups=('two',))
                for name in ('s1', 's2', 'a1', 'b1')
            ],
            [fleets.group('two', max_per_host=2)],
        )
        self.assertEqual({1, 2}, set(sent(fleet)[:2].tolist()))

    def test_no_companion_comes_to_where_both_could_not_go(self):
        """Both of a go to c if it fails, which runs two of them at most."""
        fleet = fleets.build(
            [
                fleets.host('d', state=columns.HostState.DRAINING),
                fleets.host('a', memory_gib=16),
                fleets.host('b', memory_gib=4),
                fleets.host('c', memory_gib=16),
            ],
            [
                fleets.instance('x', 'd', memory_gib=1, groups=('two',)),
                fleets.instance('y', 'a', memory_gib=5, groups=('two',)),
                fleets.instance('z', 'a', memory_gib=5, groups=('two',)),
            ],
            [fleets.group('two', max_per_host=2)],
        )
        made = propose(fleet, drain.Drain())
        self.assertEqual(['b'], [one.destination for one in made.moves])

    @hypothesis.settings(deadline=None, max_examples=100)
    @hypothesis.given(fleets.companions())
    def test_what_is_promised_holds_for_all_of_a_host_at_once(self, fleet):
        """Exactly as promised: each where it was to go, group by group."""
        goes = sent(fleet)
        for failed in np.flatnonzero(counted(fleet)).tolist():
            work = workspace.Workspace(fleet, plans.full_context())
            mine = np.flatnonzero(work.state.host == failed)
            for row in mine[goes[mine] >= 0].astype(np.int32):
                there = goes[row : row + 1]
                one = np.array((row,), np.int32)
                self.assertTrue(work.admission.among_rules(one, there).all())
                work.state.move(one, int(there[0]))
            filled = work.state.room.min(axis=0) < -1e-6
            self.assertFalse(
                (filled & np.isin(range(len(filled)), goes)).any()
            )

    @hypothesis.settings(deadline=None, max_examples=100)
    @hypothesis.given(fleets.companions(), st.permutations(POLICIES))
    def test_companions_keep_their_places_in_every_plan(self, fleet, policies):
        leaving = ~counted(fleet)[fleet.instances.host]
        promised = settled(fleet)
        made = propose(fleet, *policies[:2])
        moved = np.isin(
            fleet.instances.id, [one.instance for one in made.moves]
        )
        promised |= leaving & moved
        self.assertEqual([], homeless(fleet, made, promised))

    @hypothesis.settings(deadline=None, max_examples=150)
    @hypothesis.given(
        fleets.small(), st.permutations(POLICIES), st.integers(1, 3)
    )
    def test_whoever_had_a_place_has_one_after_every_plan(
        self, fleet, policies, count
    ):
        leaving = ~counted(fleet)[fleet.instances.host]
        promised = settled(fleet)
        made = propose(fleet, *policies[:count])
        moved = np.isin(
            fleet.instances.id, [one.instance for one in made.moves]
        )
        promised |= leaving & moved
        self.assertEqual([], homeless(fleet, made, promised))

    def test_a_group_moves_where_all_of_it_keeps_a_refuge(self):
        """Of the second fleet b would have no room for what is on c."""
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=16),
                fleets.host('b', memory_gib=16),
                fleets.host('c', memory_gib=16),
            ],
            [
                fleets.instance('x', 'a', 4.0, memory_gib=4, groups=('g',)),
                fleets.instance('y', 'a', 4.0, memory_gib=4, groups=('g',)),
                fleets.instance('z', 'c', 0.5, memory_gib=4),
            ],
            [fleets.group('g', columns.GroupPolicy.AFFINITY)],
        )
        work = workspace.Workspace(fleet, plans.full_context(filters=ASKED))
        (unit,) = (
            one for one in range(len(work.units)) if work.units.size[one] > 1
        )
        there = np.array([1, 2], np.int32)
        row = np.array([unit], np.int32)
        self.assertTrue(work.allowed(row, there).all())
        tight = fleets.build(
            [fleets.host(name, memory_gib=16) for name in 'abc'],
            [
                fleets.instance('x', 'a', 4.0, memory_gib=4, groups=('g',)),
                fleets.instance('y', 'a', 4.0, memory_gib=4, groups=('g',)),
                fleets.instance('f', 'a', 0.5, memory_gib=8),
                fleets.instance('l', 'c', 0.5, memory_gib=9),
            ],
            [fleets.group('g', columns.GroupPolicy.AFFINITY)],
        )
        work = workspace.Workspace(tight, plans.full_context(filters=ASKED))
        self.assertFalse(work.allowed(row, there).any())

    @hypothesis.settings(deadline=None, max_examples=150)
    @hypothesis.given(fleets.small(), st.data())
    def test_what_is_kept_is_what_refuges_are_for(self, fleet, data):
        """However many have moved, or were taken back, since it was asked."""
        work = workspace.Workspace(fleet, plans.full_context(filters=ASKED))
        (asked,) = (
            one
            for one in work.admission.filters
            if isinstance(one, refuge.Refuges)
        )
        hosts = np.arange(len(fleet.hosts), dtype=np.int32)
        rows = np.arange(len(fleet.instances), dtype=np.int32)
        for _ in range(data.draw(st.integers(1, 4))):
            for unit in np.flatnonzero(work.free).tolist():
                there = data.draw(st.integers(-1, len(fleet.hosts) - 1))
                if there not in (-1, work.home(unit)):
                    work.move(unit, there)
            if data.draw(st.booleans()):
                work.rewind(data.draw(st.integers(0, len(work.steps))))
            asked.passes(work.state, rows, hosts)
            expected = np.zeros((3, len(fleet.hosts)))
            for home in hosts.tolist():
                sent = np.zeros((3, len(fleet.hosts)))
                for row in np.flatnonzero(work.state.host == home).tolist():
                    if asked._goes[row] >= 0:
                        need = work.state.need[:, row]
                        sent[:, asked._goes[row]] += need
                expected = np.maximum(expected, sent)
            np.testing.assert_allclose(asked._kept.most, expected, atol=1e-6)

    def test_a_larger_fleet_is_still_evened_out(self):
        for constraints in (False, True):
            fleet = fleets.skewed(40, 400, constraints=constraints)
            promised = settled(fleet)
            self.assertGreater(promised.mean(), 0.8)
            made = propose(fleet, spread.Spread())
            plain = propose(fleet, spread.Spread(), filters=plans.FILTERS)
            self.assertLess(
                made.after.cpu_stddev,
                0.5 * (made.before.cpu_stddev + plain.after.cpu_stddev),
            )


if __name__ == '__main__':
    unittest.main()
