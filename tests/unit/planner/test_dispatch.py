"""Carrying a plan out respects its order, its slots and the fleet as it is."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from kvm_balancer.model import execution
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.model import records
from kvm_balancer.planner import dispatch


class Review(dispatch.Review):
    """Objects to what a test names, and remembers what it was shown.

    :param against: reasons by instance
    """

    def __init__(self, against=(), passing=False):
        self._against = dict(against)
        self._passing = passing
        self.asked = []
        self.taken = []

    def objection(self, moves):
        self.asked.append(tuple(one.instance for one in moves))
        found = [self.misfit(one) for one in moves]
        return next((one for one in found if one is not None), None)

    def misfit(self, move):
        reason = self._against.get(move.instance)
        return reason and dispatch.Objection(reason, self._passing)

    def take(self, move):
        self.taken.append(move.instance)


NOTHING_AGAINST = Review()
PREDICTION = plans.Prediction(seconds=1.0, downtime_ms=10.0, mib=100.0)
LOADS = plans.LoadSummary(0.2, 0.9, 0.1, 0.5)


def build_fleet(hosts=4, max_incoming=2, max_outgoing=2):
    return records.build_fleet(
        [
            records.HostRecord(
                name=f'h{number}',
                cpus=8,
                memory_mib=8192,
                max_incoming=max_incoming,
                max_outgoing=max_outgoing,
            )
            for number in range(hosts)
        ],
        [
            records.InstanceRecord(
                id=f'i{number}', host='h0', vcpus=1, memory_mib=512
            )
            for number in range(8)
        ],
    )


def build_plan(*moves):
    """Make a plan from (instance, source, destination, after) tuples."""
    return plans.Plan(
        policy='spread',
        moves=tuple(
            plans.Move(
                instance=instance,
                source=source,
                destination=destination,
                prediction=PREDICTION,
                reason='because',
                after=after,
            )
            for instance, source, destination, after in moves
        ),
        before=LOADS,
        after=LOADS,
    )


def indexes(decided, kind):
    return [one.index for one in decided if isinstance(one, kind)]


class DispatchTest(unittest.TestCase):
    def start_all(self, plan, fleet=None, busy=(), max_migrations=8):
        self.dispatch = dispatch.Dispatch('p', plan, max_migrations)
        return self.dispatch.next(
            fleet or build_fleet(), busy, NOTHING_AGAINST
        )

    def test_moves_without_an_order_start_together(self):
        decided = self.start_all(
            build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h0', 'h2', ()))
        )
        self.assertEqual([0, 1], indexes(decided, dispatch.Start))

    def test_an_objection_of_an_older_fleet_makes_a_move_wait(self):
        plan = build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h2', 'h3', ()))
        self.dispatch = dispatch.Dispatch('p', plan, 8)
        for hosts, dropped in (({'h1', 'h3'}, []), ({'h1'}, [1]), ((), [0])):
            decided = self.dispatch.next(
                build_fleet(),
                (),
                Review({'i0': 'no room', 'i1': 'no room'}),
                hosts,
            )
            self.assertEqual(dropped, indexes(decided, dispatch.Drop))
            self.assertEqual([], indexes(decided, dispatch.Start))

    def test_what_was_decided_and_not_done_is_decided_again(self):
        plan = build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h0', 'h2', ()))
        self.start_all(plan)
        self.dispatch.put_back(1)
        decided = self.dispatch.next(build_fleet(), (), NOTHING_AGAINST)
        self.assertEqual([1], indexes(decided, dispatch.Start))

    def test_a_move_waits_for_what_it_is_after(self):
        plan = build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h2', 'h0', (0,)))
        decided = self.start_all(plan)
        self.assertEqual([0], indexes(decided, dispatch.Start))
        self.dispatch.ended(0, execution.MoveState.COMPLETED, '')
        decided = self.dispatch.next(build_fleet(), (), NOTHING_AGAINST)
        self.assertEqual([1], indexes(decided, dispatch.Start))

    def test_what_began_a_chain_of_drops_is_said_once(self):
        chain = [(f'i{n}', 'h0', 'h1', (n - 1,)) for n in range(1, 6)]
        self.start_all(build_plan(('i0', 'h0', 'h1', ()), *chain))
        failed = execution.MoveState.FAILED
        self.dispatch.ended(0, failed, 'the broker is gone')
        decided = self.dispatch.next(build_fleet(), (), NOTHING_AGAINST)
        self.assertEqual([1, 2, 3, 4, 5], indexes(decided, dispatch.Drop))
        self.assertEqual(
            'it needs move 4 of the plan, which was dropped for want of '
            'move 0, which was failed: the broker is gone',
            decided[-1].reason,
        )

    def test_what_needs_a_failed_move_is_dropped_and_says_so(self):
        plan = build_plan(
            ('i0', 'h0', 'h1', ()),
            ('i1', 'h2', 'h0', (0,)),
            ('i2', 'h3', 'h2', (1,)),
        )
        self.start_all(plan)
        self.dispatch.ended(0, execution.MoveState.FAILED, 'link down')
        decided = self.dispatch.next(build_fleet(), (), NOTHING_AGAINST)
        self.assertEqual([1, 2], indexes(decided, dispatch.Drop))
        self.assertIn('link down', decided[0].reason)
        self.assertTrue(self.dispatch.done)

    def test_an_objection_drops_the_move_with_its_reason(self):
        plan = build_plan(('i0', 'h0', 'h1', ()))
        self.dispatch = dispatch.Dispatch('p', plan, 8)
        decided = self.dispatch.next(
            build_fleet(), (), Review({'i0': 'h1 is full'})
        )
        self.assertEqual('h1 is full', decided[0].reason)

    def test_slots_of_hosts_and_of_the_fleet_are_kept(self):
        plan = build_plan(
            ('i0', 'h0', 'h1', ()),
            ('i1', 'h0', 'h1', ()),
            ('i2', 'h0', 'h2', ()),
            ('i3', 'h3', 'h1', ()),
            ('i4', 'h3', 'h2', ()),
        )
        table = [
            # what is under way already, limit of the fleet, what starts
            ((), 8, [0, 1, 4]),
            ((('h0', 'h3'),), 8, [0, 3, 4]),
            ((('h0', 'h1'), ('h0', 'h1')), 8, [4]),
            ((), 2, [0, 1]),
            ((('h9', 'h8'),), 2, [0]),
        ]
        for busy, limit, expected in table:
            with self.subTest(busy=busy, limit=limit):
                decided = self.start_all(plan, busy=busy, max_migrations=limit)
                self.assertEqual(expected, indexes(decided, dispatch.Start))

    def test_a_refusal_that_may_pass_waits_for_the_moves_before(self):
        plan = build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h2', 'h3', ()))
        self.dispatch = dispatch.Dispatch('p', plan, 8)
        wish = Review({'i1': 'a wish'}, passing=True)
        decided = self.dispatch.next(build_fleet(), (), wish)
        self.assertEqual([0], indexes(decided, dispatch.Start))
        self.assertEqual([], indexes(decided, dispatch.Drop))
        self.dispatch.ended(0, execution.MoveState.COMPLETED, '')
        decided = self.dispatch.next(build_fleet(), (), wish)
        self.assertEqual([1], indexes(decided, dispatch.Drop))

    @given(st.data())
    def test_every_plan_comes_to_an_end(self, data):
        """Whatever ends how, each move ends once and slots are kept."""
        count = data.draw(st.integers(1, 12))
        moves = []
        for index in range(count):
            after = data.draw(
                st.sets(st.integers(0, index - 1), max_size=3)
                if index
                else st.just(set())
            )
            source, destination = data.draw(
                st.permutations(['h0', 'h1', 'h2', 'h3'])
            )[:2]
            moves.append((f'i{index}', source, destination, tuple(after)))
        plan = build_plan(*moves)
        carried = dispatch.Dispatch('p', plan, 3)
        fleet = build_fleet(max_incoming=1, max_outgoing=2)
        running = {}
        for _ in range(4 * count + 4):
            busy = [(m.source, m.destination) for m in running.values()]
            for one in carried.next(fleet, busy, NOTHING_AGAINST):
                if isinstance(one, dispatch.Start):
                    for before in one.move.after:
                        self.assertIs(
                            execution.MoveState.COMPLETED,
                            carried.states[before],
                        )
                    running[one.index] = one.move
            self.assertLessEqual(len(running), 3)
            for host in ('h0', 'h1', 'h2', 'h3'):
                incoming = [
                    m for m in running.values() if m.destination == host
                ]
                self.assertLessEqual(len(incoming), 1)
            if carried.done:
                break
            index = data.draw(st.sampled_from(sorted(running)))
            running.pop(index)
            how = data.draw(
                st.sampled_from(
                    [
                        execution.MoveState.COMPLETED,
                        execution.MoveState.FAILED,
                    ]
                )
            )
            carried.ended(index, how, 'drawn')
        self.assertTrue(carried.done)


COMPLETED, FAILED, UNKNOWN, DROPPED = (
    execution.MoveState.COMPLETED,
    execution.MoveState.FAILED,
    execution.MoveState.UNKNOWN,
    execution.MoveState.DROPPED,
)


class UnitTest(unittest.TestCase):
    """A hard affinity group goes whole, or is said to be apart and why."""

    def setUp(self):
        self.plan = build_plan(
            *((f'i{one}', 'h0', 'h1', ()) for one in range(3)),
            ('i4', 'h0', 'h1', ()),
        )
        self.fleet = self.build_fleet()

    def build_fleet(self, slots=1, **where):
        """Make i0, i1, i2 a group, on h0 if nothing else is said."""
        return records.build_fleet(
            [
                records.HostRecord(
                    name=f'h{number}',
                    cpus=8,
                    memory_mib=8192,
                    max_outgoing=slots,
                )
                for number in range(3)
            ],
            [
                records.InstanceRecord(
                    id=f'i{number}',
                    host=where.get(f'i{number}', 'h0'),
                    vcpus=1,
                    memory_mib=512,
                    groups=('g',) if number < 3 else (),
                )
                for number in range(5)
            ],
            [
                records.GroupRecord(
                    name='g', policy=columns.GroupPolicy.AFFINITY
                )
            ],
        )

    def step(self, carried, fleet=None, review=None, busy=(), unsettled=()):
        return carried.next(
            fleet or self.fleet, busy, review or Review(), unsettled
        )

    def test_it_is_asked_for_as_a_whole_and_holds_room_as_a_whole(self):
        carried = dispatch.Dispatch('p', self.plan, 8)
        review = Review()
        decided = self.step(carried, review=review)
        self.assertEqual([0], indexes(decided, dispatch.Start))
        self.assertEqual([('i0', 'i1', 'i2')], review.asked)
        self.assertEqual(['i0', 'i1', 'i2'], review.taken)
        again = Review()
        self.step(carried, review=again, busy=[('h0', 'h1')])
        self.assertEqual(['i1', 'i2'], again.taken)

    def test_where_one_cannot_go_none_does(self):
        carried = dispatch.Dispatch('p', self.plan, 8)
        decided = self.step(carried, review=Review({'i2': 'no room'}))
        self.assertEqual([0, 1, 2], indexes(decided, dispatch.Drop))
        self.assertEqual([3], indexes(decided, dispatch.Start))
        self.assertEqual({'no room'}, {one.reason for one in decided[:3]})

    def test_what_happens_to_the_others_when_one_does_not_go(self):
        for ends, moved, starts, drops, words in (
            # the first fails: nobody has left, nobody does
            ([FAILED], {}, [], [1, 2], 'it stays with i0, of its affinity'),
            # the second fails: the third follows the first
            ([COMPLETED, FAILED], {'i0': 'h1'}, [2], [], ''),
            # nobody knows, and the fleet shows it
            ([UNKNOWN], {'i0': 'h1'}, [1], [], ''),
            ([UNKNOWN], {}, [], [1, 2], 'it stays with i0'),
        ):
            with self.subTest(ends=ends, moved=moved):
                carried = dispatch.Dispatch('p', self.plan, 8)
                for index, state in enumerate(ends):
                    carried.ended(index, state, 'link down')
                carried.ended(3, COMPLETED, '')
                fleet = self.build_fleet(**moved)
                decided = self.step(carried, fleet)
                self.assertEqual(starts, indexes(decided, dispatch.Start))
                self.assertEqual(drops, indexes(decided, dispatch.Drop))
                for one in decided:
                    if isinstance(one, dispatch.Drop):
                        self.assertIn(words, one.reason)
                        self.assertIn('link down', one.reason)

    def test_it_waits_for_news_of_one_that_may_have_gone(self):
        carried = dispatch.Dispatch('p', self.plan, 8)
        carried.ended(0, UNKNOWN, 'silent')
        carried.ended(3, COMPLETED, '')
        decided = self.step(carried, unsettled={'h1'})
        self.assertEqual((), decided)

    def test_one_that_cannot_follow_is_told_that_the_group_is_apart(self):
        carried = dispatch.Dispatch('p', self.plan, 8)
        carried.ended(0, COMPLETED, '')
        fleet = self.build_fleet(i0='h1')
        decided = self.step(carried, fleet, Review({'i1': 'no room'}))
        self.assertEqual([1], indexes(decided, dispatch.Drop))
        self.assertEqual([2], indexes(decided, dispatch.Start))
        self.assertIn('1 of its affinity group went to h1', decided[0].reason)
        self.assertIn('repair brings them together', decided[0].reason)

    def test_it_waits_for_what_any_of_it_waits_for(self):
        plan = build_plan(
            ('i4', 'h1', 'h2', ()),
            ('i0', 'h0', 'h1', ()),
            ('i1', 'h0', 'h1', (0,)),
        )
        for state, starts, drops in (
            (COMPLETED, [1], []),
            (FAILED, [], [1, 2]),
            (None, [], []),
        ):
            with self.subTest(state=state):
                carried = dispatch.Dispatch('p', plan, 8)
                carried.ended(0, execution.MoveState.DISPATCHED, '')
                if state is not None:
                    carried.ended(0, state, '')
                decided = self.step(carried)
                self.assertEqual(starts, indexes(decided, dispatch.Start))
                self.assertEqual(drops, indexes(decided, dispatch.Drop))

    @given(st.data())
    def test_it_is_apart_only_where_one_failed_after_another_left(self, data):
        """Whatever ends how, the reasons tell of every torn group."""
        carried = dispatch.Dispatch('p', self.plan, 8)
        where, running, ends = {}, [], {}
        while not carried.done:
            for one in self.step(
                carried,
                self.build_fleet(data.draw(st.integers(1, 3)), **where),
                busy=[('h0', 'h1')] * len(running),
            ):
                if isinstance(one, dispatch.Start):
                    running.append(one.index)
            if not running:
                continue
            index = data.draw(st.sampled_from(sorted(running)))
            running.remove(index)
            ends[index] = data.draw(st.sampled_from([COMPLETED, FAILED]))
            carried.ended(index, ends[index], 'drawn')
            if ends[index] is COMPLETED:
                where[f'i{index}'] = 'h1'
        gone = {carried.states[index] for index in range(3)}
        if gone != {COMPLETED} and COMPLETED in gone:
            self.assertIn(FAILED, gone)
        if COMPLETED not in gone:
            self.assertLessEqual(gone, {FAILED, DROPPED})
