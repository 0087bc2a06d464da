"""What the agent has learned outlives it, whatever the store is like."""

import unittest
from unittest import mock
import zlib

from kvm_balancer import errors
from kvm_balancer.model import outcome
from kvm_balancer.model import plan as plans
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import credit
from kvm_balancer.policies import memory
from kvm_balancer.service import remembering
from kvm_balancer.store import store
from tests.fixtures import fleets
from tests.unit.store import base

FLEET = fleets.build(
    [fleets.host(name) for name in 'ab'], [fleets.instance('i', 'a')]
)
MOVED = fleets.build(
    [fleets.host(name) for name in 'ab'], [fleets.instance('i', 'b')]
)
LOG = 'kvm_balancer.service.remembering'


def crowd(home):
    return fleets.build(
        [fleets.host(name) for name in 'ab'],
        [fleets.instance(f'i{number}', home) for number in range(500)],
    )


def moved(source, destination):
    return plans.Move(
        'i', source, destination, plans.Prediction(1.0, 10, 1.0), 'hot'
    )


def ended(source, destination, at):
    return base.make_outcome(
        instance='i', source=source, destination=destination, ended_at=at
    )


def made(kept):
    fresh = memory.Memory(cooldown.Cooldowns(cooldown.Params()))
    return remembering.SharedMemory(fresh, kept)


class RestartTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        self.memories = kept.memories

    def surroundings(self, shared, now):
        return shared.surroundings(FLEET, now, (), None, {}, None)

    def test_lessons_survive_a_restart(self):
        first, credits = made(self.memories), credit.Credits()
        first.look(FLEET, 0.0)
        with self.assertLogs(LOG) as told:
            first.look(MOVED, 10.0)
        self.assertIn('by somebody else', told.output[0])
        credits.restore([('', 'spread', 0.25)])
        first.save(credits, 20.0)
        again, believed = made(self.memories), credit.Credits()
        again.recover(believed)
        self.assertEqual(0.25, believed.share('', 'spread'))
        found = self.surroundings(again, 30.0)
        self.assertEqual([True], found.cooling_instances.tolist())

    def test_a_round_is_closed_by_what_was_under_way_at_a_restart(self):
        first, credits = made(self.memories), credit.Credits()
        first.begun(FLEET, moved('a', 'b'))
        first.ended(ended('a', 'b', 10.0), 10.0)
        first.begun(FLEET, moved('b', 'a'))
        first.save(credits, 20.0)
        again = made(self.memories)
        again.recover(credit.Credits())
        with self.assertLogs(LOG) as told:
            again.ended(ended('b', 'a', 30.0), 30.0)
        self.assertIn('has come back to a', told.output[0])

    def test_a_move_by_others_while_the_agent_is_down_is_noticed(self):
        first = made(self.memories)
        first.look(FLEET, 0.0)
        first.save(credit.Credits(), 10.0)
        again = made(self.memories)
        again.recover(credit.Credits())
        with self.assertLogs(LOG) as told:
            again.look(MOVED, 9000.0)
        self.assertIn('i was moved from a to b by somebody', told.output[0])
        found = self.surroundings(again, 9030.0)
        self.assertEqual([True], found.cooling_instances.tolist())
        self.assertEqual([True, True], found.cooling_hosts.tolist())

    def test_of_many_moves_by_others_some_are_told_one_by_one(self):
        first = made(self.memories)
        first.look(crowd('a'), 0.0)
        with self.assertLogs(LOG) as told:
            first.look(crowd('b'), 30.0)
        self.assertEqual(21, len(told.output))
        self.assertIn('so were 480 other instances', told.output[-1])

    def test_where_instances_are_is_written_when_a_store_is_back(self):
        kept = mock.Mock(wraps=self.memories)
        first = made(kept)
        first.look(FLEET, 0.0)
        kept.save_all.side_effect = errors.StoreError('it is away')
        with self.assertLogs(LOG, 'WARNING'):
            first.save(credit.Credits(), 10.0)
        self.assertEqual({}, self.memories.load_all('seen/'))
        kept.save_all.side_effect = None
        for now in (20.0, 30.0):
            first.save(credit.Credits(), now)
        self.assertEqual(1, len(self.memories.load_all('seen/')))
        self.assertEqual(2, kept.save_all.call_count)

    def test_damage_to_where_instances_were_costs_no_lessons(self):
        first, credits = made(self.memories), credit.Credits()
        credits.restore([('', 'spread', 0.25)])
        first.save(credits, 10.0)
        for number, body in enumerate((b'', b'x', zlib.compress(b'\x91'))):
            self.memories.save(f'seen/{number}', body, 10.0)
        again, believed = made(self.memories), credit.Credits()
        with self.assertLogs(LOG, 'WARNING') as told:
            again.recover(believed)
        self.assertEqual(3, len(told.output))
        self.assertEqual(0.25, believed.share('', 'spread'))

    def test_one_of_whose_end_nobody_knows_stays_ours(self):
        first = made(self.memories)
        first.look(FLEET, 0.0)
        first.ended(
            base.make_outcome(
                kind=outcome.OutcomeKind.UNKNOWN,
                instance='i',
                source='a',
                destination='b',
                ended_at=10.0,
            ),
            10.0,
        )
        first.look(FLEET, 20_000.0)
        with self.assertNoLogs(LOG):
            first.look(MOVED, 20_030.0)

    def test_what_a_plan_is_to_bring_survives_a_restart(self):
        first, credits = made(self.memories), credit.Credits()
        waiting = {
            'due': 100.0,
            'expected': [('', 'spread', 0.5, 0.25, ('a', 'b'))],
        }
        credits.restore_promise(waiting)
        first.save(credits, 20.0)
        believed = credit.Credits()
        made(self.memories).recover(believed)
        self.assertEqual(waiting, believed.promised())

    def test_what_cannot_be_read_is_learned_anew(self):
        for body in (
            b'',
            b'[]',
            b'{"mishaps": 7}',
            b'{"rounds": {"held": 1}}',
            b'{"gaps": {"i": "wide"}}',
            b'{"promised": {"due": 1.0}}',
            b'{"promised": {"due": 1.0, "expected": [["", "spread"]]}}',
        ):
            with self.subTest(body=body):
                self.memories.save('lessons', body, 1.0)
                with self.assertLogs(LOG, 'WARNING'):
                    made(self.memories).recover(credit.Credits())

    def test_nothing_is_written_where_nothing_has_changed(self):
        kept = mock.Mock(wraps=self.memories)
        shared, credits = made(kept), credit.Credits()
        for now in (1.0, 2.0, 3.0):
            shared.save(credits, now)
        self.assertEqual(1, kept.save.call_count)


class OutageTest(unittest.TestCase):
    def test_a_store_that_does_not_answer_costs_no_decision(self):
        kept = mock.Mock()
        kept.save.side_effect = errors.StoreError('it is away')
        with self.assertLogs(LOG, 'WARNING'):
            made(kept).save(credit.Credits(), 1.0)
