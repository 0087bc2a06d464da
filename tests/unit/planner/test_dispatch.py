"""Carrying a plan out respects its order, its slots and the fleet as it is."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from kvm_balancer.model import execution
from kvm_balancer.model import plan as plans
from kvm_balancer.model import records
from kvm_balancer.planner import dispatch

NOTHING_AGAINST = lambda fleet, move: ''  # noqa: E731
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
                build_fleet(), (), lambda fleet, move: 'no room', hosts
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
            build_fleet(), (), lambda fleet, move: 'h1 is full'
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

    def test_what_waits_can_be_given_up(self):
        plan = build_plan(('i0', 'h0', 'h1', ()), ('i1', 'h1', 'h0', (0,)))
        self.start_all(plan)
        dropped = self.dispatch.drop_waiting('the agent only advises now')
        self.assertEqual([1], [one.index for one in dropped])
        self.assertFalse(self.dispatch.done)

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
