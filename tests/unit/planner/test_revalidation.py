"""A move is made when its turn comes, unless the fleet has changed."""

import dataclasses
import random
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plan_model
from kvm_balancer.model import records
from kvm_balancer.planner import dispatch
from kvm_balancer.planner import revalidation
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

SPREAD = spread.Spread(spread.SpreadParams(target=0.01))
RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.7))
REPAIR = repair.Repair()
CONSOLIDATE = consolidate.Consolidate()
EVERY = (REPAIR, RELIEVE, SPREAD, CONSOLIDATE)


def build_fleet(*instances):
    """Make hosts a, b, c of 8 CPUs, and (name, host, cores, MiB)."""
    return records.build_fleet(
        [
            records.HostRecord(name=name, cpus=8, memory_mib=8192)
            for name in 'abc'
        ],
        [
            records.InstanceRecord(
                id=name,
                host=host,
                vcpus=2,
                memory_mib=mib,
                cpu_usage=cores,
            )
            for name, host, cores, mib in instances
        ],
    )


def moved(fleet, *moves):
    """Return *fleet* with some moves made."""
    return fleets.moved(fleet, moves)


def busier(fleet, instance, cores):
    usage = fleet.instances.cpu_usage.copy()
    usage[fleet.instance_row[instance]] = cores
    return dataclasses.replace(
        fleet, instances=dataclasses.replace(fleet.instances, cpu_usage=usage)
    )


def propose(fleet, *policies):
    return composition.propose(policies, fleet, plans.full_context())


def objection(fleet, *moves):
    """Return what is said against *moves* together; '' for nothing."""
    said = revalidation.Review(fleet, plans.FILTERS).objection(moves)
    return said.reason if said else ''


class TestUnchanged(unittest.TestCase):
    """Nobody objects to a plan while the fleet is as it was planned."""

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        fleets.small(), st.sampled_from([*EVERY, None]), st.integers(0, 99)
    )
    def test_in_any_order_that_the_plan_allows(self, fleet, policy, seed):
        made = propose(fleet, *(EVERY if policy is None else (policy,)))
        dice = random.Random(seed)
        done = []
        while len(done) < len(made.moves):
            ready = [
                index
                for index, one in enumerate(made.moves)
                if index not in done and set(one.after) <= set(done)
            ]
            index = dice.choice(ready)
            now = moved(fleet, *(made.moves[one] for one in done))
            said = objection(now, made.moves[index])
            self.assertNotIn('by now', said)
            done.append(index)

    def test_a_swap(self):
        """Both halves are made, the one that goes uphill as well."""
        fleet = build_fleet(
            ('big', 'a', 4.0, 4000),
            ('a1', 'a', 3.0, 3000),
            ('small', 'b', 0.5, 1000),
            ('b1', 'b', 0.5, 4500),
            ('c1', 'c', 4.0, 8000),
        )
        made = propose(fleet, SPREAD)
        uphill = [
            one
            for one in made.moves
            if (one.source, one.destination) == ('b', 'a')
        ]
        self.assertTrue(uphill, made.moves)
        for one in uphill:
            self.assertEqual('', objection(fleet, one))

    def test_a_host_that_is_emptied(self):
        fleet = build_fleet(
            ('a1', 'a', 1.0, 1000),
            ('b1', 'b', 2.0, 1000),
            ('c1', 'c', 2.0, 1000),
        )
        made = propose(fleet, CONSOLIDATE)
        self.assertEqual(['a1'], [one.instance for one in made.moves])
        self.assertGreater(made.moves[0].load_gap, 0.0)
        self.assertEqual('', objection(fleet, made.moves[0]))


class TestCarriedOut(unittest.TestCase):
    """A plan that nothing interferes with is carried out to its end."""

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        fleets.small(), st.sampled_from([*EVERY, None]), st.data()
    )
    def test_as_many_at_a_time_as_there_are_slots(self, fleet, policy, data):
        made = propose(fleet, *(EVERY if policy is None else (policy,)))
        carried = dispatch.Dispatch('p', made, 4)
        running, done = {}, []
        while not carried.done:
            now = moved(fleet, *done)
            in_flight = [
                placement.InFlight(
                    now.instance_row[one.instance],
                    now.host_row[one.destination],
                )
                for one in running.values()
            ]
            review = revalidation.Review(now, plans.FILTERS, in_flight)
            busy = [(one.source, one.destination) for one in running.values()]
            for one in carried.next(now, busy, review):
                self.assertIsInstance(one, dispatch.Start, one)
                running[one.index] = one.move
            index = data.draw(st.sampled_from(sorted(running)))
            done.append(running.pop(index))
            carried.ended(index, execution.MoveState.COMPLETED, '')
        self.assertEqual(len(made.moves), len(done))


class TestChanged(unittest.TestCase):
    def setUp(self):
        self.fleet = build_fleet(
            ('a1', 'a', 4.0, 1000),
            ('a2', 'a', 3.0, 1000),
            ('b1', 'b', 1.0, 1000),
            ('c1', 'c', 4.0, 1000),
        )
        made = propose(self.fleet, RELIEVE)
        self.move = made.moves[0]
        self.stays = {'a1': 'a2', 'a2': 'a1'}[self.move.instance]

    def test_a_source_that_cooled_down(self):
        now = busier(busier(self.fleet, self.stays, 0.1), 'b1', 2.0)
        self.assertIn('by now', objection(now, self.move))

    def test_a_destination_that_got_hot(self):
        there = {'b': 'b1', 'c': 'c1'}[self.move.destination]
        arrives = self.fleet.instances.cpu_usage[
            self.fleet.instance_row[self.move.instance]
        ]
        now = busier(self.fleet, there, 7.5 - arrives)
        self.assertIn('by now', objection(now, self.move))

    def test_a_move_of_an_older_plan_may_not_go_uphill(self):
        now = busier(busier(self.fleet, self.stays, 0.1), 'b1', 2.0)
        older = dataclasses.replace(self.move, load_gap=None, cause=None)
        self.assertIn('by now', objection(now, older))

    def test_what_has_to_go_goes(self):
        now = busier(busier(self.fleet, self.stays, 0.1), 'b1', 2.0)
        must = dataclasses.replace(
            self.move, profile=plan_model.Profile.DRAIN, cause=None
        )
        self.assertEqual('', objection(now, must))
        state = self.fleet.hosts.state.copy()
        state[self.fleet.host_row['a']] = columns.HostState.DRAINING
        leaves = dataclasses.replace(
            now, hosts=dataclasses.replace(now.hosts, state=state)
        )
        self.assertEqual('', objection(leaves, self.move))

    def test_what_others_bring_there_meanwhile(self):
        """Its load counts where it goes, and its memory on both hosts."""
        fleet = build_fleet(
            ('x', 'a', 4.0, 4096),
            ('big', 'b', 3.0, 6144),
            ('c1', 'c', 0.0, 100),
        )
        move = dataclasses.replace(
            self.move,
            instance='x',
            source='a',
            destination='c',
            load_gap=None,
            cause=None,
        )
        self.assertEqual('', objection(fleet, move))
        seen = fleets.in_transit(fleet, 'big', 'c')
        self.assertIn(
            'c is refused: it is one of those that lack room for its',
            objection(seen, move),
        )
        still = dataclasses.replace(move, destination='b')
        self.assertIn('b is refused', objection(seen, still))
        itself = fleets.in_transit(fleet, 'x', 'c')
        self.assertIn('in a migration', objection(itself, move))
        calm = build_fleet(('x', 'a', 2.0, 100), ('y', 'b', 4.0, 100))
        self.assertEqual('', objection(calm, move))
        hot = fleets.in_transit(calm, 'y', 'c')
        self.assertIn('by now', objection(hot, move))

    def test_what_is_not_there_any_more(self):
        for move, words in (
            (dataclasses.replace(self.move, instance='x'), 'not in the fleet'),
            (dataclasses.replace(self.move, source='c'), 'is on a now'),
            (dataclasses.replace(self.move, destination='x'), 'x is not in'),
        ):
            self.assertIn(words, objection(self.fleet, move))


def grouped(policy, instances, state='enabled'):
    """Make hosts a (of that state), b, c, and a group of all but 'other'.

    :param instances: (name, host, MiB)
    """
    states = {'a': columns.HostState[state.upper()]}
    return records.build_fleet(
        [
            records.HostRecord(
                name=name,
                cpus=8,
                memory_mib=8192,
                state=states.get(name, columns.HostState.ENABLED),
            )
            for name in 'abc'
        ],
        [
            records.InstanceRecord(
                id=name,
                host=host,
                vcpus=1,
                memory_mib=mib,
                cpu_usage=0.5,
                groups=() if name.startswith('other') else ('g',),
            )
            for name, host, mib in instances
        ],
        [records.GroupRecord(name='g', policy=policy)],
    )


class TestCause(unittest.TestCase):
    """What a move was made for may be over when its turn comes."""

    def test_a_host_that_is_not_drained_any_more_keeps_its_instances(self):
        there = [(f'other{one}', 'a', 1000) for one in range(3)]
        policy = columns.GroupPolicy.ANTI_AFFINITY
        fleet = grouped(policy, there, 'draining')
        made = propose(fleet, drain.Drain())
        self.assertEqual(3, len(made.moves))
        now = grouped(policy, there)
        for move in made.moves:
            self.assertEqual('', objection(fleet, move))
            self.assertEqual('a is not drained any more', objection(now, move))

    def test_a_rule_that_others_have_mended(self):
        policy = columns.GroupPolicy.ANTI_AFFINITY
        fleet = grouped(policy, [('s1', 'a', 1000), ('s2', 'a', 1000)])
        (move,) = propose(fleet, REPAIR).moves
        self.assertEqual('', objection(fleet, move))
        (other,) = {'s1', 's2'} - {move.instance}
        (free,) = {'b', 'c'} - {move.destination}
        now = grouped(policy, [(move.instance, 'a', 1000), (other, free, 9)])
        self.assertIn('hold by now', objection(now, move))

    def test_a_host_that_is_not_hot_any_more(self):
        fleet = build_fleet(*((f'i{one}', 'a', 1.8, 1000) for one in range(4)))
        made = propose(fleet, RELIEVE)
        now = build_fleet(*((f'i{one}', 'a', 0.5, 1000) for one in range(4)))
        for move in made.moves:
            self.assertEqual('', objection(fleet, move))
            self.assertIn('a is at 0.25 CPU by now', objection(now, move))

    def test_what_makes_room_for_nobody(self):
        """A chain's first move helps as long as any host is hot."""
        cause = plan_model.Cause(plan_model.CauseKind.ZONE_LOAD, 0.65)
        move = plan_model.Move(
            'i0',
            'b',
            'c',
            plan_model.Prediction(1.0, 1.0, 1.0),
            '',
            cause=cause,
        )
        for cores, said in ((6.0, ''), (5.0, 'no host is over 0.65')):
            now = build_fleet(('hot', 'a', cores, 10), ('i0', 'b', 1.0, 10))
            self.assertIn(said, objection(now, move))
            self.assertEqual(not said, not objection(now, move))


class TestTogether(unittest.TestCase):
    """Moves of one step, and of one unit, are held against each other."""

    POLICY = columns.GroupPolicy.AFFINITY

    def made(self, *moves):
        return [
            plan_model.Move(
                instance,
                'a',
                'b',
                plan_model.Prediction(1.0, 1.0, 1.0),
                '',
                load_gap=1.0,
            )
            for instance in moves
        ]

    def test_what_starts_first_takes_the_room(self):
        fleet = grouped(
            columns.GroupPolicy.ANTI_AFFINITY,
            [('other1', 'a', 4096), ('other2', 'a', 4096), ('x', 'b', 2048)],
        )
        one, two = self.made('other1', 'other2')
        review = revalidation.Review(fleet, plans.FILTERS)
        self.assertIsNone(review.objection([two]))
        self.assertIsNone(review.objection([one]))
        review.take(one)
        self.assertIn('lack room', review.objection([two]).reason)

    def test_a_unit_goes_whole_or_not_at_all(self):
        members = [('s1', 'a', 3000), ('s2', 'a', 3000)]
        both = self.made('s1', 's2')
        for there, words in ((1000, ''), (4000, 's2, of its affinity group')):
            fleet = grouped(self.POLICY, [*members, ('other', 'b', there)])
            self.assertEqual('', objection(fleet, both[0]))
            said = objection(fleet, *both)
            self.assertIn(words, said)
            self.assertEqual(not words, not said)

    def test_budgets_are_asked_for_a_whole_unit_and_all_that_starts(self):
        fleet = grouped(self.POLICY, [(f's{n}', 'a', 9) for n in range(3)])
        asked = []

        def held_back(moves, promised):
            asked.append((len(moves), len(promised)))
            return 'spent' if len(promised) else ''

        review = revalidation.Review(fleet, plans.FILTERS, held_back=held_back)
        first, *rest = self.made('s0', 's1', 's2')
        self.assertIsNone(review.objection([first]))
        review.take(first)
        self.assertEqual('spent', review.objection(rest).reason)
        self.assertEqual([(1, 0), (2, 1)], asked)


class TestWishes(unittest.TestCase):
    """What a plan heeded of wishes is heeded when a turn comes."""

    def setUp(self):
        self.apart = columns.GroupPolicy.SOFT_ANTI_AFFINITY
        fleet = grouped(self.apart, [('s1', 'a', 9), ('s2', 'a', 9)])
        made = propose(fleet, SPREAD)
        self.move = dataclasses.replace(
            made.moves[0], instance='s1', destination='b', load_gap=1.0
        )
        self.assertTrue(self.move.wished)

    def said(self, *there, profile=plan_model.Profile.BALANCE, **fields):
        fleet = grouped(self.apart, [('s1', 'a', 9), *there])
        move = dataclasses.replace(self.move, profile=profile, **fields)
        return revalidation.Review(fleet, plans.FILTERS).objection([move])

    def test_a_wish_that_speaks_against_it_by_now(self):
        self.assertIsNone(self.said())
        against = self.said(('s2', 'b', 9))
        self.assertIn('soft group g', against.reason)
        self.assertTrue(against.passing)

    def test_a_wish_that_the_plan_passed_over(self):
        self.assertIsNone(self.said(('s2', 'b', 9), wished=False))

    def test_what_has_to_go_waits_for_a_host_that_heeds_it_if_any_does(self):
        must = plan_model.Profile.DRAIN
        against = self.said(('s2', 'b', 9), profile=must)
        self.assertIn('b is refused', against.reason)
        full = (('s2', 'b', 9), ('s3', 'c', 9))
        self.assertIsNone(self.said(*full, profile=must))
        other = (('s2', 'b', 9), ('other', 'c', 8190))
        self.assertIsNone(self.said(*other, profile=must))
