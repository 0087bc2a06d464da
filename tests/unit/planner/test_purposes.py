"""What parts of a plan gain is what its policies are for."""

import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as model
from kvm_balancer.planner import gauges
from kvm_balancer.planner import purposes
from kvm_balancer.planner import rules
from kvm_balancer.planner import score
from kvm_balancer.planner import workspace
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans


def over_limits(fleet):
    found = 0.0
    for limit in plans.RELIEVE.params.limits(fleet):
        read = gauges.Gauge(fleet, limit.reading).read
        over = np.where(fleet.hosts.silent, 0.0, read - limit.most)
        found += float(np.where(over > 0.0, over, 0.0).sum())
    return found


def in_use(fleet):
    there = np.bincount(fleet.instances.host, minlength=len(fleet.hosts))
    return int(np.count_nonzero(fleet.hosts.counted_on & (there > 0)))


def on_draining(fleet):
    draining = fleet.hosts.state == columns.HostState.DRAINING
    return int(np.count_nonzero(draining[fleet.instances.host]))


#: what a fleet has of each purpose, looked at as a whole
AMOUNTS = {
    'repair': lambda fleet: len(rules.broken(fleet, fleet.instances.host)),
    'drain': on_draining,
    'relieve': over_limits,
    'spread': lambda fleet: score.spread(fleet.cpu_load, fleet.counted),
    'consolidate': in_use,
}


class EveryPlanTest(unittest.TestCase):
    """Properties over random small fleets."""

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        fleets.small(),
        st.lists(st.sampled_from(plans.POLICIES), min_size=1, unique=True),
    )
    def test_what_is_left_is_what_the_fleet_would_have(self, fleet, policies):
        made = composition.propose(policies, fleet, plans.full_context())
        names = [one.name for one in policies]
        self.assertEqual(names, [one.policy for one in made.purposes])
        points = [model.FrontierPoint(0, 0.0, 0.0), *made.frontier]
        for point in points:
            then = fleets.moved(fleet, made.moves[: point.moves])
            left = point.left or tuple(one.before for one in made.purposes)
            for name, amount in zip(names, left, strict=True):
                self.assertAlmostEqual(AMOUNTS[name](then), amount, msg=name)

    @hypothesis.settings(max_examples=40)
    @hypothesis.given(fleets.small(), st.sampled_from(plans.POLICIES))
    def test_a_policy_gets_all_of_its_way_and_never_more(self, fleet, policy):
        made = policy.propose(fleet, plans.full_context())
        (purpose,) = made.purposes
        shares = [purpose.gained(*one.left) for one in made.frontier]
        if purpose.before <= purpose.after:
            self.assertEqual({None}, {None, *shares})
            return
        self.assertEqual(1.0, shares[-1])
        for share in shares:
            self.assertTrue(0.0 <= share <= 1.0)


class PlacesTest(unittest.TestCase):
    """A policy at several places has one purpose for all of them."""

    def setUp(self):
        super().setUp()
        self.fleet = fleets.build(
            [
                *(fleets.host(f'a{one}', zone='a') for one in range(2)),
                *(fleets.host(f'b{one}', zone='b') for one in range(2)),
            ],
            [
                *(fleets.instance(f'x{one}', 'a0', 1.0) for one in range(4)),
                *(fleets.instance(f'y{one}', 'b0', 1.0) for one in range(8)),
            ],
        )
        self.zones = [self.fleet.hosts.zone == number for number in range(2)]

    def propose(self, policies):
        parts = [
            assignment.Part(f'zone {number}', (policy,), hosts)
            for number, (policy, hosts) in enumerate(
                zip(policies, self.zones, strict=True)
            )
        ]
        return composition.propose_parts(
            parts, self.fleet, plans.full_context()
        )

    def test_its_spread_is_around_the_mean_of_each_place(self):
        policy = spread.Spread(spread.SpreadParams(target=0.01))
        made = self.propose((policy, policy))
        (purpose,) = made.purposes
        # 0.4 and 0.0 around 0.2; 0.8 and 0.0 around 0.4
        self.assertAlmostEqual(((0.2**2 + 0.4**2) / 2) ** 0.5, purpose.before)
        self.assertAlmostEqual(0.0, purpose.after)
        self.assertGreater(made.after.cpu_stddev, 0.09)

    def test_what_it_does_not_look_after_is_not_its_own(self):
        policy = spread.Spread(spread.SpreadParams(target=0.01))
        made = self.propose((policy, plans.RELIEVE))
        of_spread, of_relieve = made.purposes
        self.assertAlmostEqual(0.2, of_spread.before)
        self.assertAlmostEqual(0.3, of_relieve.before)
        self.assertAlmostEqual(0.0, of_relieve.after)


class PluginsOfOthersTest(unittest.TestCase):
    """One that raises is named, and costs only itself."""

    def propose(self, purpose):
        class Mine(spread.Spread):
            name = 'mine'

        Mine.purpose = purpose
        fleet = fleets.skewed(20, 200)
        return composition.propose(
            (Mine(), drain.Drain()), fleet, plans.full_context()
        )

    def test_who_tells_nothing_has_no_purpose(self):
        made = self.propose(base.Policy.purpose)
        self.assertTrue(made.moves)
        self.assertEqual(['drain'], [one.policy for one in made.purposes])
        self.assertEqual((), made.warnings)

    def test_who_raises_is_named(self):
        class Broken(purposes.Purpose):
            what, left = 'trouble', 1.0

            def take(self, step):
                if self.left < 1.0:
                    raise KeyError('rack')
                self.left = 0.5

        def raising(policy, setting):
            raise KeyError('rack')

        for one in (raising, lambda policy, setting: Broken()):
            made = self.propose(one)
            self.assertTrue(made.moves)
            self.assertEqual(['drain'], [one.policy for one in made.purposes])
            self.assertEqual({1}, {len(one.left) for one in made.frontier})
            (told,) = made.warnings
            self.assertIn('mine is not told: KeyError', told)


class RulesTest(unittest.TestCase):
    """Rules are counted as they are mended, wherever that is."""

    def test_members_that_leave_one_by_one_mend_a_rule_at_last(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abc'],
            [
                fleets.instance(str(one), 'a', groups=('g',))
                for one in range(3)
            ],
            [fleets.group('g', columns.GroupPolicy.ANTI_AFFINITY)],
        )
        made = repair.Repair().propose(fleet, plans.full_context())
        (purpose,) = made.purposes
        self.assertEqual((1.0, 0.0), (purpose.before, purpose.after))
        self.assertEqual([(1.0,), (0.0,)], [one.left for one in made.frontier])

    def test_an_instance_in_a_wrong_place_counts_until_it_leaves(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b', aggregates=('ssd',))],
            [fleets.instance('1', 'a', required_aggregates=('ssd',))],
        )
        work = workspace.Workspace(fleet, plans.full_context())
        state = plans.placed(fleet)
        whole = np.ones(2, np.bool_)
        found = purposes.Rules(purposes.Setting(work, state, (whole,)))
        self.assertEqual(1.0, found.left)
        for there, left in ((1, 0.0), (0, 1.0)):
            state.move((0,), there)
            found.take(workspace.Step(0, 1 - there, there))
            self.assertEqual(left, found.left)


if __name__ == '__main__':
    unittest.main()
