"""Plans: kept as they were made, with the state of each move."""

from kvm_balancer import errors
from kvm_balancer.model import execution
from kvm_balancer.store import store
from tests.unit.store import base

ADVISE = execution.PlanMode.ADVISE
AUTOMATIC = execution.PlanMode.AUTOMATIC


class PlansTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        self.plans = kept.plans

    def test_a_plan_comes_back_as_it_was_made(self):
        made = base.make_plan(3)
        self.plans.save(base.PLAN, 1234.567891, AUTOMATIC, made)
        found = self.plans.get(base.PLAN)
        self.assertEqual(made, found.plan)
        self.assertEqual(1234.567891, found.summary.created_at)
        self.assertEqual(execution.PlanState.RUNNING, found.summary.state)
        self.assertEqual([0, 1, 2], [move.position for move in found.moves])
        self.assertEqual(
            {execution.MoveState.PLANNED}, {m.state for m in found.moves}
        )

    def test_a_plan_without_moves_is_kept(self):
        self.plans.save(base.PLAN, 1.0, ADVISE, base.make_plan(0))
        self.assertEqual(0, self.plans.latest()[0].moves)

    def test_the_newest_are_listed_first(self):
        for number in range(5):
            self.plans.save(
                f'plan-{number}', float(number), ADVISE, base.make_plan(number)
            )
        self.assertEqual(
            [('plan-4', 4), ('plan-3', 3)],
            [(one.id, one.moves) for one in self.plans.latest(2)],
        )

    def test_states_of_moves_are_noted_with_their_reason(self):
        self.plans.save(base.PLAN, 1.0, AUTOMATIC, base.make_plan())
        self.plans.set_move_state(
            base.PLAN, 1, execution.MoveState.DROPPED, 'the host is silent'
        )
        move = self.plans.get(base.PLAN).moves[1]
        self.assertEqual(execution.MoveState.DROPPED, move.state)
        self.assertEqual('the host is silent', move.detail)
        with self.assertRaisesRegex(errors.NotFound, 'has no move 7'):
            self.plans.set_move_state(
                base.PLAN, 7, execution.MoveState.DROPPED
            )

    def test_running_plans_are_found_after_a_restart(self):
        self.plans.save('advised', 1.0, ADVISE, base.make_plan())
        self.plans.save('ended', 2.0, AUTOMATIC, base.make_plan())
        self.plans.save('running', 3.0, AUTOMATIC, base.make_plan())
        self.plans.set_state('ended', execution.PlanState.FINISHED)
        self.assertEqual(
            ['running'], [one.summary.id for one in self.plans.running()]
        )

    def test_the_beginning_of_an_id_is_enough_where_it_is_unique(self):
        self.plans.save('abc-1', 1.0, ADVISE, base.make_plan())
        self.plans.save('abd-1', 1.0, ADVISE, base.make_plan())
        self.plans.save('ab', 1.0, ADVISE, base.make_plan())
        self.assertEqual('abc-1', self.plans.get('abc').summary.id)
        self.assertEqual('ab', self.plans.get('ab').summary.id)
        for wanted, text in (
            ('a', 'more than one plan begins with a'),
            ('x', 'there is no plan x'),
            ('%', 'there is no plan %'),
            ('', 'there is no plan'),
        ):
            with self.assertRaisesRegex(errors.NotFound, text):
                self.plans.get(wanted)

    def test_old_plans_are_forgotten_with_their_moves_but_running_ones(self):
        self.plans.save('old', 1.0, ADVISE, base.make_plan())
        self.plans.save('runs', 2.0, AUTOMATIC, base.make_plan())
        self.plans.save('new', 9.0, ADVISE, base.make_plan())
        self.assertEqual(1, self.plans.purge(5.0))
        self.assertEqual(
            ['new', 'runs'], [one.id for one in self.plans.latest()]
        )
        self.assertRaises(
            errors.NotFound,
            self.plans.set_move_state,
            'old',
            0,
            execution.MoveState.PLANNED,
        )
