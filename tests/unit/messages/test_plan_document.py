"""Plans in and out of their public format."""

import dataclasses
import json
import unittest

from kvm_balancer import errors
from kvm_balancer.messages import plan_document
from kvm_balancer.model import plan
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans


def made(policy=None):
    policy = policy or spread.Spread()
    return policy.propose(fleets.skewed(20, 200), plans.full_context())


class TestPlanDocument(unittest.TestCase):
    """The document has what the format promises."""

    def test_it_has_the_keys_of_the_format(self):
        document = json.loads(plan_document.encode(made()))
        self.assertEqual('kvm-balancer/plan/1', document['schema'])
        self.assertEqual('spread', document['policy'])
        self.assertLessEqual(
            {
                'moves',
                'before',
                'after',
                'bound',
                'makespan_seconds',
                'frontier',
                'unplaced',
            },
            document.keys(),
        )
        self.assertEqual(
            {
                'instance',
                'source',
                'destination',
                'after',
                'load_gap',
                'cause',
                'wished',
                'predicted_seconds',
                'predicted_downtime_ms',
                'predicted_mib',
                'convergence',
                'converges',
                'throttled',
                'predicted_fixed_seconds',
                'predicted_disk_mib',
                'predicted_disk_seconds',
                'predicted_limit_mib_s',
                'uncorrected',
                'reason',
                'profile',
            },
            document['moves'][0].keys(),
        )
        self.assertEqual(
            {'moves', 'cpu_stddev', 'mib', 'left', 'gained'},
            document['frontier'][0].keys(),
        )
        self.assertEqual(
            {'policy', 'what', 'before', 'after', 'counted'},
            document['purposes'][0].keys(),
        )
        self.assertEqual({'spread': 1.0}, document['frontier'][-1]['gained'])

    def test_what_a_plan_was_for_may_be_missing_and_has_to_fit(self):
        document = plan_document.to_builtins(made())
        for point in document['frontier']:
            del point['left'], point['gained']
        with self.assertRaisesRegex(
            errors.DocumentError, r'frontier\[0\].left: .*spread'
        ):
            plan_document.from_builtins(document)
        del document['purposes']
        older = plan_document.from_builtins(document)
        self.assertEqual((), older.purposes)
        self.assertEqual((), older.frontier[0].left)

    def test_a_bound_that_is_not_proven_is_left_out(self):
        bare = plan.Plan(
            'p',
            (),
            plan.LoadSummary(0, 0, 0, 0),
            plan.LoadSummary(0, 0, 0, 0),
            plan.Bound(cpu_max=0.5),
        )
        document = plan_document.to_builtins(bare)
        self.assertEqual({'cpu_max': 0.5}, document['bound'])

    def test_what_was_written_is_read_back(self):
        policy = relieve.Relieve(relieve_limits.RelieveParams(limit=0.2))
        for one in (made(), made(policy)):
            text = plan_document.encode(one)
            again = plan_document.decode(text)
            self.assertEqual(text, plan_document.encode(again))
            self.assertEqual(
                again,
                plan_document.from_builtins(plan_document.to_builtins(one)),
            )

    def test_what_was_predicted_of_a_move_is_read_back(self):
        expected = plan.Prediction(
            seconds=12.0,
            downtime_ms=300.0,
            mib=1000.0,
            mode=plan.Mode.POST_COPY,
            converges=True,
            throttled=True,
            fixed_seconds=2.0,
            uncorrected=plan.Uncorrected(8.0, 200.0, 900.0),
            disk_mib=500.0,
            disk_seconds=5.0,
            limit_mib_s=40.0,
        )
        one = made()
        move = dataclasses.replace(one.moves[0], prediction=expected)
        again = plan_document.decode(
            plan_document.encode(dataclasses.replace(one, moves=(move,)))
        )
        self.assertEqual(expected, again.moves[0].prediction)

    def test_a_document_without_it_does_not_say_whether_it_converges(self):
        document = plan_document.to_builtins(made())
        for move in document['moves']:
            del move['converges'], move['throttled'], move['uncorrected']
        again = plan_document.from_builtins(document)
        self.assertIsNone(again.moves[0].prediction.ending)

    def test_what_is_wrong_is_named(self):
        for change, text in (
            ({'schema': 'x'}, "schema is 'x'"),
            ({'moves': 3}, 'Expected `array`, got `int` - at `$.moves`'),
            (
                {
                    'moves': [
                        {
                            'instance': 'i',
                            'source': 'a',
                            'destination': 'b',
                            'after': [0],
                        }
                    ]
                },
                'moves[0].after: [0] names moves that are not before it',
            ),
        ):
            with self.subTest(text):
                document = plan_document.to_builtins(made()) | change
                with self.assertRaises(errors.DocumentError) as caught:
                    plan_document.decode(json.dumps(document))
                self.assertIn(text, str(caught.exception))


if __name__ == '__main__':
    unittest.main()
