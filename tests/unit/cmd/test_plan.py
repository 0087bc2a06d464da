"""``kvm-balancer plan``: from a file, and from the agent."""

import json

from kvm_balancer.messages import fleet_document
from kvm_balancer.messages import plan_document
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from tests.fixtures import fleets
from tests.unit.cmd import base
from tests.unit.planner import plans


class PlanTest(base.CommandCase):
    """What is planned is shown, and nothing is moved."""

    def setUp(self):
        super().setUp()
        self.fleet = fleets.skewed(20, 200)
        self.path = self.write(
            'fleet.json', fleet_document.encode(self.fleet).decode()
        )

    def plan(self, *arguments):
        # however busy the machine is
        patient = ('--budget', '3600')
        ran = self.run_cli('plan', '--fleet', self.path, *patient, *arguments)
        self.assertEqual('', ran.err)
        self.assertEqual(0, ran.code)
        return ran

    def test_json_is_the_plan_document(self):
        ran = self.plan('--policy', 'spread', '-f', 'json')
        made = plan_document.decode(ran.out)
        self.assertEqual('spread', made.policy)
        self.assertLessEqual(made.after.cpu_stddev, 0.10)
        self.assertEqual(plan_document.to_builtins(made), ran.json)
        self.assertNotIn('Traceback', ran.err)

    def test_a_table_has_reasons_and_before_after_and_bound(self):
        out = self.plan('--policy', 'spread', '--target', '0.12').out
        for words in (
            'this move takes it to',
            's, by pre-copy. ',
            'Before',
            'After',
            'no plan gets the peak under',
            'no plan gets there with fewer than',
        ):
            self.assertIn(words, ' '.join(out.replace('|', ' ').split()))

    def test_policies_follow_each_other(self):
        ran = self.plan('--policy', 'relieve,spread', '-f', 'json')
        self.assertEqual('relieve,spread', ran.json['policy'])

    def test_without_a_policy_those_of_the_agent_are_followed(self):
        ran = self.plan('-f', 'json')
        self.assertEqual('relieve,spread', ran.json['policy'])

    def test_arguments_reach_the_policy_and_the_planner(self):
        ran = self.plan(
            *('--policy', 'relieve', '--limit', '0.3'),
            *('--max-moves', '2', '-f', 'json'),
        )
        self.assertEqual(2, len(ran.json['moves']))
        self.assertIn('0.30 CPU', ran.json['summary'])
        self.assertTrue(ran.json['still_hot'])

    def test_half_a_second_and_half_a_gib_can_be_asked_for(self):
        ran = self.run_cli(
            *('plan', '--fleet', self.path, '--policy', 'spread'),
            *('--budget', '0.5', '--max-gib', '0.5', '-f', 'json'),
        )
        self.assertEqual(0, ran.code, ran.err)
        carried = [one['predicted_mib'] for one in ran.json['moves']]
        self.assertLess(sum(carried), 1024.0)

    def test_gib_can_be_what_counts(self):
        moves, gib = (
            self.plan('--policy', 'spread', '--prefer', one, '-f', 'json').json
            for one in ('moves', 'gib')
        )
        self.assertLess(
            gib['frontier'][-1]['mib'], moves['frontier'][-1]['mib']
        )

    def test_without_a_file_the_agent_is_asked(self):
        policy = relieve.Relieve(relieve_limits.RelieveParams(limit=0.3))
        made = policy.propose(self.fleet, plans.full_context())
        agent = base.FakeAgent(
            make_plan=json.loads(plan_document.encode(made))
        )
        with agent.connected():
            ran = self.run_cli(
                *('plan', '--policy', 'relieve', '--limit', '0.3'),
                *('--max-gib', '7', '--prefer', 'gib', '--budget', '2'),
                *('--eagerness', '4', '-f', 'json'),
            )
        self.assertEqual(plan_document.to_builtins(made), ran.json)
        self.assertEqual(
            [
                (
                    'make_plan',
                    {
                        'policies': ['relieve'],
                        'limit': 0.3,
                        'max_gib': 7,
                        'prefer': 'gib',
                        'budget_seconds': 2,
                        'eagerness': 4,
                    },
                )
            ],
            agent.calls,
        )
