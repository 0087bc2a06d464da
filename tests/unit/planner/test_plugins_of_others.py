"""Filters and weighers of others have a say in every step of every policy.

Each scene is a fleet in which one step of one kind is due, and two places
are as good for it. By itself the step goes to the first; where a filter
refuses that, or a weigher prefers the other, it goes to the other.
"""

import collections.abc
import dataclasses
import unittest

import numpy as np

from kvm_balancer.filters import base as filters
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import greedy
from kvm_balancer.planner import layout
from kvm_balancer.planner import trade
from kvm_balancer.planner import workspace
from kvm_balancer.policies import base as policies
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from kvm_balancer.weighers import base as weighers
from tests.fixtures import fleets
from tests.unit.planner import plans

Ways = dict[str, str]


class Idle(filters.OneByOne):
    """Would refuse everything, and says that it has nothing to say."""

    name = 'idle'
    dynamic = True

    def idle(self, fleet):
        return True

    def host_passes(self, state, instance, host):
        return False

    def reason(self, state, instance):
        return 'are never asked for'


class TestIdle(unittest.TestCase):
    """A filter that has nothing to say of a fleet is not asked."""

    def test_it_refuses_nothing(self):
        fleet = fleets.build(
            [fleets.host('a', cpu_overhead=8), fleets.host('b')],
            [fleets.instance('x', 'a')],
        )
        context = plans.full_context(filters=(*plans.FILTERS, Idle()))
        made = relieve.Relieve().propose(fleet, context)
        self.assertEqual(['x'], [move.instance for move in made.moves])
        self.assertEqual((), made.warnings)


def proposed(policy):
    """Return what lets a policy make a plan."""

    def run(fleet, context):
        made = policy.propose(fleet, context)
        return {move.instance: move.destination for move in made.moves}

    return run


def named(fleet, ways):
    return {
        fleet.instances.id[unit]: fleet.hosts.name[host] for unit, host in ways
    }


def descended(fleet, context):
    """Make one descent, and nothing after it."""
    work = workspace.Workspace(fleet, context)
    greedy.Descent(work).run(0.1)
    return named(fleet, [(one.unit, one.destination) for one in work.steps])


def traded(target):
    """Return what trades with no moves to begin with."""

    def run(fleet, context):
        work = workspace.Workspace(fleet, context)
        kept = trade.Trade(work, 0, target, contexts.Prefer.MOVES).run()
        ways = [(way.unit, way.destination) for way in layout.ways(kept)]
        return named(fleet, ways)

    return run


@dataclasses.dataclass(frozen=True)
class Scene:
    """One step that is due.

    :ivar alone: where instances go by themselves
    :ivar other: the other place that is as good
    """

    name: str
    run: collections.abc.Callable[[columns.Fleet, contexts.Context], Ways]
    hosts: tuple[fleets.records.HostRecord, ...]
    instances: tuple[fleets.records.InstanceRecord, ...]
    alone: Ways
    other: Ways
    groups: tuple[fleets.records.GroupRecord, ...] = ()

    @property
    def fleet(self):
        return fleets.build(self.hosts, self.instances, self.groups)

    @property
    def refused(self):
        return frozenset(self.alone.items())

    @property
    def liked(self):
        return frozenset(self.other.values())


def fixed(name, home, memory_gib, cpu=0):
    return fleets.instance(
        name, home, cpu=cpu, memory_gib=memory_gib, movable=False
    )


RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.8, margin=0.0))
CONSOLIDATE = consolidate.Consolidate(
    consolidate.ConsolidateParams(failures=0)
)
SPREAD = spread.Spread(spread.SpreadParams(target=0.1))
SCENES = (
    Scene(
        'relieve, single move',
        proposed(RELIEVE),
        (fleets.host('a', cpu_overhead=8), fleets.host('b'), fleets.host('c')),
        (fleets.instance('x', 'a', cpu=1),),
        {'x': 'b'},
        {'x': 'c'},
    ),
    Scene(
        'relieve, exchange with a third host',
        proposed(RELIEVE),
        (
            fleets.host('a', cpu_overhead=6, memory_gib=4),
            fleets.host('b', cpu_overhead=4, memory_gib=4),
            fleets.host('c', cpu_overhead=4, memory_gib=4),
            fleets.host('d', cpu_overhead=5.2, memory_gib=4),
            fleets.host('e', cpu_overhead=5.2, memory_gib=4),
        ),
        (
            fleets.instance('x', 'a', cpu=3, memory_gib=4),
            fleets.instance('in-b', 'b', cpu=2.5, memory_gib=4),
            fleets.instance('in-c', 'c', cpu=2.5, memory_gib=4),
        ),
        {'in-b': 'd', 'x': 'b'},
        {'in-c': 'e', 'x': 'c'},
    ),
    Scene(
        'repair, members apart',
        proposed(repair.Repair()),
        (fleets.host('a'), fleets.host('b'), fleets.host('c')),
        (
            fleets.instance('x', 'a', memory_gib=1, groups=('g',)),
            fleets.instance('y', 'a', memory_gib=2, groups=('g',)),
        ),
        {'x': 'b'},
        {'x': 'c'},
        (fleets.group('g'),),
    ),
    Scene(
        'repair, members together',
        proposed(repair.Repair()),
        (
            fleets.host('a', memory_gib=4),
            fleets.host('b', memory_gib=4),
            fleets.host('c', memory_gib=8),
            fleets.host('d', memory_gib=8),
        ),
        (
            fleets.instance('x', 'a', memory_gib=3, groups=('g',)),
            fleets.instance('y', 'b', memory_gib=3, groups=('g',)),
        ),
        {'x': 'c', 'y': 'c'},
        {'x': 'd', 'y': 'd'},
        (fleets.group('g', columns.GroupPolicy.AFFINITY),),
    ),
    Scene(
        'drain',
        proposed(drain.Drain()),
        (
            fleets.host('a', state=columns.HostState.DRAINING),
            fleets.host('b'),
            fleets.host('c'),
        ),
        (fleets.instance('x', 'a', cpu=1),),
        {'x': 'b'},
        {'x': 'c'},
    ),
    Scene(
        'consolidate, into what room there is',
        proposed(CONSOLIDATE),
        tuple(fleets.host(name, memory_gib=8) for name in 'abc'),
        (
            fleets.instance('x', 'a', memory_gib=2),
            fixed('in-b', 'b', 4),
            fixed('in-c', 'c', 4),
        ),
        {'x': 'b'},
        {'x': 'c'},
    ),
    Scene(
        'consolidate, pushing another out',
        proposed(CONSOLIDATE),
        tuple(fleets.host(name, memory_gib=8) for name in 'abcde'),
        (
            fleets.instance('x', 'a', memory_gib=4),
            fixed('b-stays', 'b', 4),
            fleets.instance('in-b', 'b', memory_gib=2),
            fixed('c-stays', 'c', 4),
            fleets.instance('in-c', 'c', memory_gib=2),
            fixed('in-d', 'd', 6),
            fixed('in-e', 'e', 6),
        ),
        {'in-b': 'd', 'x': 'b'},
        {'in-c': 'e', 'x': 'c'},
    ),
    Scene(
        'spread, descent',
        descended,
        tuple(fleets.host(name) for name in 'abc'),
        (fleets.instance('x', 'a', cpu=2), fixed('stays', 'a', 1, cpu=2)),
        {'x': 'b'},
        {'x': 'c'},
    ),
    Scene(
        'spread, trade, one goes elsewhere',
        traded(0.1),
        tuple(fleets.host(name) for name in 'abc'),
        (fleets.instance('x', 'a', cpu=2), fixed('stays', 'a', 1, cpu=2)),
        {'x': 'b'},
        {'x': 'c'},
    ),
    Scene(
        'spread, trade, two change hosts',
        traded(0.15),
        tuple(fleets.host(name, memory_gib=8) for name in 'abc'),
        (
            fleets.instance('x', 'a', cpu=4),
            fixed('a-stays', 'a', 4, cpu=4),
            fleets.instance('in-b', 'b', cpu=0.5),
            fixed('b-stays', 'b', 4, cpu=1.5),
            fleets.instance('in-c', 'c', cpu=0.5),
            fixed('c-stays', 'c', 4, cpu=1.5),
        ),
        {'x': 'b', 'in-b': 'a'},
        {'x': 'c', 'in-c': 'a'},
    ),
    Scene(
        'spread, trade, a chain through a third host',
        traded(0.11),
        (
            fleets.host('a', cpu_overhead=4, memory_gib=4),
            fleets.host('b', cpu_overhead=1, memory_gib=8),
            fleets.host('c', cpu_overhead=1, memory_gib=8),
            fleets.host('d', cpu_overhead=4, memory_gib=8),
            fleets.host('e', cpu_overhead=4, memory_gib=8),
        ),
        (
            fleets.instance('x', 'a', cpu=4),
            fleets.instance('in-b', 'b', cpu=1, memory_gib=8),
            fleets.instance('in-c', 'c', cpu=1, memory_gib=8),
        ),
        {'x': 'b', 'in-b': 'd'},
        {'x': 'c', 'in-c': 'e'},
    ),
    Scene(
        'spread, the whole of it',
        proposed(SPREAD),
        tuple(fleets.host(name) for name in 'abc'),
        (fleets.instance('x', 'a', cpu=2), fixed('stays', 'a', 1, cpu=2)),
        {'x': 'b'},
        {'x': 'c'},
    ),
)


class Refusing(filters.Filter):
    """Refuses some places, a block of instances and hosts at once."""

    name = 'refusing'

    def __init__(self, refused):
        super().__init__()
        self.refused = refused

    def passes(self, state, instances, hosts):
        ids, names = state.fleet.instances.id, state.fleet.hosts.name
        return np.array(
            [
                [(ids[one], names[host]) not in self.refused for host in hosts]
                for one in instances
            ],
            np.bool_,
        )

    def reason(self, state, instance):
        return 'are refused'


class RefusingByClass(Refusing):
    """Says that no two instances get the same answer."""

    def classes(self, fleet):
        return np.arange(len(fleet.instances))


class RefusingGrowing(Refusing):
    """Is asked at every step."""

    dynamic = True


class RefusingOne(filters.OneByOne):
    """Refuses some places, one after the other."""

    name = 'refusing'

    def __init__(self, refused):
        super().__init__()
        self.refused = refused

    def host_passes(self, state, instance, host):
        place = (
            state.fleet.instances.id[instance],
            state.fleet.hosts.name[host],
        )
        return place not in self.refused

    def reason(self, state, instance):
        return 'are refused'


class RefusingOneGrowing(RefusingOne):
    """Is asked at every step."""

    dynamic = True


class Liking(weighers.Weigher):
    """Likes some hosts, all in question at once."""

    name = 'liking'

    def __init__(self, liked):
        super().__init__()
        self.liked = liked

    def weigh(self, state, instance, hosts):
        names = state.fleet.hosts.name
        return np.array([float(names[host] in self.liked) for host in hosts])


class LikingOne(weighers.OneByOne):
    """Likes some hosts, one after the other."""

    name = 'liking'

    def __init__(self, liked):
        super().__init__()
        self.liked = liked

    def weigh_host(self, state, instance, host):
        return float(state.fleet.hosts.name[host] in self.liked)


FILTERS = (
    Refusing,
    RefusingByClass,
    RefusingGrowing,
    RefusingOne,
    RefusingOneGrowing,
)


class TestEveryStep(unittest.TestCase):
    """The table of policies, steps, and what others have written."""

    def test_every_policy_is_in_the_table(self):
        names = {scene.name.split(',')[0] for scene in SCENES}
        self.assertEqual(
            {one.name for one in policies.Policy.__subclasses__()} & names,
            names,
        )
        self.assertEqual(5, len(names))

    def test_by_itself_a_step_goes_to_the_first_place(self):
        for scene in SCENES:
            with self.subTest(scene.name):
                found = scene.run(scene.fleet, plans.full_context())
                self.assertEqual(scene.alone, found)

    def test_a_filter_is_heeded_and_the_step_goes_to_the_other(self):
        for scene in SCENES:
            for kind in FILTERS:
                with self.subTest(scene.name, kind=kind.__name__):
                    context = plans.full_context(
                        filters=(*plans.FILTERS, kind(scene.refused))
                    )
                    found = scene.run(scene.fleet, context)
                    self.assertEqual(set(), scene.refused & set(found.items()))
                    self.assertEqual(len(scene.other), len(found), found)

    def test_a_weigher_has_the_step_go_where_it_likes(self):
        for scene in SCENES:
            for kind in (Liking, LikingOne):
                with self.subTest(scene.name, kind=kind.__name__):
                    liking = weighers.Weighted(kind(scene.liked), 10.0)
                    context = plans.full_context(
                        weighers=(*plans.WEIGHERS, liking)
                    )
                    found = scene.run(scene.fleet, context)
                    self.assertEqual(scene.other, found)

    def test_a_weigher_turned_round_has_it_go_to_the_first(self):
        for scene in SCENES:
            with self.subTest(scene.name):
                liking = weighers.Weighted(Liking(scene.liked), -10.0)
                context = plans.full_context(
                    weighers=(*plans.WEIGHERS, liking)
                )
                found = scene.run(scene.fleet, context)
                self.assertEqual(scene.alone, found)


class FewArrivals(filters.Filter):
    """Lets one instance come to each host."""

    name = 'few_arrivals'
    dynamic = True

    def passes(self, state, instances, hosts):
        began = state.fleet.instances.host
        come = np.bincount(
            state.host[state.host != began], minlength=len(state.fleet.hosts)
        )
        return np.broadcast_to(come[hosts] == 0, (len(instances), len(hosts)))

    def reason(self, state, instance):
        return 'have got an instance already'


class TestTrade(unittest.TestCase):
    """A trade is held to what others say while it goes on."""

    def test_a_filter_sees_the_moves_of_the_trade(self):
        fleet = fleets.skewed(30, 300, seed=3)
        context = plans.full_context(filters=(*plans.FILTERS, FewArrivals()))
        for make in (traded(0.05), proposed(SPREAD)):
            there = list(make(fleet, context).values())
            self.assertGreater(len(there), 5)
            self.assertEqual(len(there), len(set(there)))

    def test_the_placement_goes_along(self):
        """What filters are shown is where the trade has put everything."""
        fleet = fleets.skewed(30, 300, seed=3)
        work = workspace.Workspace(
            fleet,
            plans.full_context(filters=(*plans.FILTERS, Refusing(()))),
        )
        made = trade.Trade(work, 0, 0.05, contexts.Prefer.MOVES)
        made.run()
        now, state = made._now, work.state
        first = work.units.first(np.arange(len(work.units), dtype=np.int32))
        np.testing.assert_array_equal(now.at, state.host[first])
        np.testing.assert_allclose(now.room, state.room, atol=1e-6)
        mib = fleet.instances.memory_usage_mib
        moved = now.moved
        np.testing.assert_allclose(
            np.bincount(now.at[moved], mib[first[moved]], len(fleet.hosts)),
            state.incoming_mib,
            atol=1e-6,
        )

    def test_a_weigher_costs_no_move_and_no_balance(self):
        """It chooses among plans that are as good."""
        fleet = fleets.skewed(40, 400, seed=1)
        names = frozenset(fleet.hosts.name[::2])
        plain = SPREAD.propose(fleet, plans.full_context())
        for kind in (Liking, LikingOne):
            liking = weighers.Weighted(kind(names), 10.0)
            made = SPREAD.propose(
                fleet,
                plans.full_context(weighers=(*plans.WEIGHERS, liking)),
            )
            self.assertLessEqual(made.after.cpu_stddev, 0.1)
            self.assertLessEqual(len(made.moves), len(plain.moves) + 1)
            self.assertGreater(_liked(made, names), _liked(plain, names))

    def test_a_weigher_that_raises_is_named_and_left_out(self):
        class Broken(weighers.Weigher):
            name = 'broken'

            def weigh(self, state, instance, hosts):
                raise RuntimeError('oops')

        fleet = fleets.skewed(20, 200, seed=1)
        broken = weighers.Weighted(Broken())
        made = SPREAD.propose(
            fleet, plans.full_context(weighers=(*plans.WEIGHERS, broken))
        )
        self.assertLessEqual(made.after.cpu_stddev, 0.1)
        self.assertEqual(
            ('weigher broken is left out: RuntimeError: oops',),
            made.warnings,
        )


def _liked(made, names):
    """Return the share of moves that go where they are liked."""
    there = [move.destination in names for move in made.moves]
    return sum(there) / len(there)


if __name__ == '__main__':
    unittest.main()
