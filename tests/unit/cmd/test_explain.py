"""``kvm-balancer explain``: by a file, and by the agent."""

import json
import os
import pathlib

from kvm_balancer.messages import fleet_document
from tests.fixtures import fleets
from tests.unit.cmd import base


class ExplainTest(base.CommandCase):
    """People read sections, programs the whole document."""

    def setUp(self):
        super().setUp()
        self.fleet = fleets.skewed(20, 200)
        self.path = self.write(
            'fleet.json', fleet_document.encode(self.fleet).decode()
        )

    def explain(self, *arguments):
        ran = self.run_cli('explain', '--fleet', self.path, *arguments)
        self.assertEqual('', ran.err)
        self.assertEqual(0, ran.code)
        return ran

    def plan(self):
        ran = self.run_cli(
            *('plan', '--fleet', self.path, '--policy', 'spread'),
            *('-f', 'json'),
        )
        return ran.json, self.write('plan.json', ran.out)

    def test_a_plan_is_explained_move_by_move(self):
        made, path = self.plan()
        found = self.explain(path, '-f', 'json').json
        self.assertEqual('kvm-balancer/explanation/1', found['schema'])
        self.assertEqual('plan', found['kind'])
        self.assertEqual(
            [one['instance'] for one in made['moves']],
            [one['instance'] for one in found['moves']],
        )

    def test_an_instance_is_explained_by_a_plan_that_is_there(self):
        made, path = self.plan()
        moved = made['moves'][0]['instance']
        out = self.explain(moved, '--plan', path).out
        self.assertIn('Why this instance', out)
        self.assertIn('Why this host', out)

    def test_a_host_is_explained_by_a_plan_that_is_made_now(self):
        out = self.explain('host-013', '--policy', 'spread').out
        self.assertIn('What stays on it', out)

    def test_a_file_does_not_hide_a_host_that_is_called_like_it(self):
        made, path = self.plan()
        name = made['moves'][0]['source']
        self.write(name, pathlib.Path(path).read_text())
        before = pathlib.Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)
        for said, kind in ((name, 'host'), (f'./{name}', 'plan')):
            found = self.explain(said, '-f', 'json').json
            self.assertEqual(kind, found['kind'])

    def test_a_plan_that_is_there_is_not_asked_for_more(self):
        made, path = self.plan()
        moved = made['moves'][0]['instance']
        more = ('--policy', 'spread', '--budget', '1', '--max-gib', '2')
        for subject in ((path,), (moved, '--plan', path)):
            ran = self.run_cli(
                'explain', '--fleet', self.path, *subject, *more
            )
            self.assertNotEqual(0, ran.code)
            self.assertEqual(1, len(ran.err.splitlines()))
            self.assertIn('leave --policy, --max-gib, --budget out', ran.err)

    def test_what_is_nothing_of_the_fleet_is_refused_in_one_line(self):
        ran = self.run_cli('explain', '--fleet', self.path, 'host-01')
        self.assertNotEqual(0, ran.code)
        self.assertEqual(1, len(ran.err.splitlines()))
        self.assertIn('did you mean', ran.err)

    def test_a_file_that_is_no_plan_is_refused_in_one_line(self):
        ran = self.run_cli('explain', '--fleet', self.path, self.path)
        self.assertNotEqual(0, ran.code)
        self.assertEqual(1, len(ran.err.splitlines()))
        self.assertIn('not a plan document', ran.err)

    def test_without_a_file_the_agent_is_asked(self):
        answer = {
            'schema': 'kvm-balancer/explanation/1',
            'kind': 'host',
            'sections': [{'title': 'Host', 'lines': ['h is enabled']}],
        }
        agent = base.FakeAgent(explain=json.loads(json.dumps(answer)))
        with agent.connected():
            ran = self.run_cli('explain', 'h', '--plan', 'abc')
        self.assertIn('h is enabled', ran.out)
        ((method, asked),) = agent.calls
        self.assertEqual('explain', method)
        self.assertEqual(('h', 'abc'), (asked['subject'], asked['plan_id']))
