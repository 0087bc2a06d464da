"""Why?, asked of a running agent that watches hosts and makes plans."""

import json
import time
import unittest

from tests.functional.cmd import services

#: Relief takes web-0 off host-1: it is enough by itself, and copies least;
#: web-3 is pinned. So it is however loads swing: the simulated ones do by an
#: eighth.
_FLEET = {
    'schema': 'kvm-balancer/fleet/1',
    'hosts': [
        {'name': name, 'cpus': 10, 'memory_mib': 32768}
        for name in ('host-1', 'host-2')
    ],
    'instances': [
        {
            'id': f'0000000{number}-0000-4000-8000-000000000000',
            'name': f'web-{number}',
            'host': 'host-1',
            'vcpus': 4,
            'memory_mib': memory_mib,
            'cpu_usage': cores,
        }
        for number, (memory_mib, cores) in enumerate(
            [(2048, 3.2), (4096, 2.0), (4096, 2.0), (4096, 2.0)]
        )
    ],
}


class ExplainTest(services.ServiceCase):
    """Relief is advised; nothing moves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.conf.parent
        (folder / 'fleet.json').write_text(json.dumps(_FLEET))
        with cls.conf.open('a') as conf:
            conf.write(
                '[relieve]\nhold_seconds = 0\n[planner]\n'
                'pinned_names = web-3\n[agent]\ninterval_seconds = 1\n'
            )
        for host in _FLEET['hosts']:
            name = host['name']
            (folder / f'{name}.conf').write_text(
                f'[DEFAULT]\ntransport_url = {cls.rabbit.url}\n'
                f'[host]\nname = {name}\n'
                f'[executor]\ndriver = simulated\nmanage = all\n'
                f'sample_interval_seconds = 1\n'
                f'state_path = {folder}/{name}.sqlite\n'
                f'[simulated]\nfleet = {folder}/fleet.json\n'
            )

    def _ask(self, *arguments):
        ran = self.run_command('cli', *arguments, '-f', 'json')
        self.assertEqual((0, ''), (ran.returncode, ran.stderr))
        return json.loads(ran.stdout)

    def _first_plan(self):
        """Return the id of the first plan, once there is one."""
        given_up = time.monotonic() + services.TIMEOUT_SECONDS
        while not (kept := self._ask('plans')):
            self.assertLess(time.monotonic(), given_up, 'no plan was made')
        return kept[-1]['id']

    def test_why(self):
        self.assertEqual(
            0, self.run_command('cli', 'db', 'upgrade').returncode
        )
        self.start('agent', 'The agent is up')
        # where it may go comes first: a search in vain is not soon repeated
        for name in ('host-2', 'host-1'):
            conf = self.conf.with_name(f'{name}.conf')
            self.start('executor', 'takes commands', conf)
        plan = self._first_plan()
        (move,) = self._ask('plans', 'show', plan)['moves']
        self._explain_plan(plan, move)
        self._explain_host(plan, move)
        self._explain_instances(plan, move)
        self._explain_nothing()

    def _lines(self, answer):
        return '\n'.join(
            line for one in answer['sections'] for line in one['lines']
        )

    def _explain_plan(self, plan, move):
        answer = self._ask('explain', plan)
        self.assertEqual(('plan', plan), (answer['kind'], answer['subject']))
        (told,) = answer['moves']
        self.assertEqual(
            (move['instance'], 'host-1', 'host-2'),
            (told['instance'], told['source'], told['destination']),
        )
        self.assertEqual(
            ['host-1', 'host-2'], [e['host'] for e in told['ends']]
        )
        self.assertRegex(
            told['why_instance'], r'^host-1 is at [01]\.\d\d CPU, '
        )
        self.assertIn('is enough by itself', told['why_instance'])
        self.assertIn('1 move; no plan gets there', self._lines(answer))
        ran = self.run_command('cli', 'explain', plan[:8])
        self.assertEqual(0, ran.returncode, ran.stderr)
        self.assertIn('Why this instance', ran.stdout)
        self.assertLessEqual(max(map(len, ran.stdout.splitlines())), 80)

    def _explain_host(self, plan, move):
        answer = self._ask('explain', 'host-1', '--plan', plan)
        (told,) = answer['moves']
        self.assertEqual(move['instance'], told['instance'])
        self.assertIn('pinned_names', self._lines(answer))
        answer = self._ask('explain', 'host-2', '--policy', 'relieve')
        self.assertEqual('host', answer['kind'])
        self.assertEqual(
            {'host-2'}, {o['destination'] for o in answer['moves']}
        )

    def _explain_instances(self, plan, move):
        answer = self._ask('explain', move['instance'], '--plan', plan)
        self.assertEqual('instance', answer['kind'])
        self.assertEqual('host-2', answer['moves'][0]['destination'])
        answer = self._ask('explain', 'web-3')
        self.assertEqual([], answer['moves'])
        self.assertIn('take the pattern out', self._lines(answer))

    def _explain_nothing(self):
        for asked, code, said in (
            (
                ('hots-1',),
                1,
                'there is no plan hots-1, and there is no host or '
                'instance hots-1; did you mean host-1',
            ),
            (('host-1', '--plan', 'nosuch'), 1, 'there is no plan nosuch'),
            (('host-1', '--policy', 'sprad'), 2, "no policy 'sprad'; known"),
        ):
            with self.subTest(asked):
                ran = self.run_command('cli', 'explain', *asked)
                self.assertEqual((code, ''), (ran.returncode, ran.stdout))
                self.assertIn(said, ran.stderr)
                self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)


if __name__ == '__main__':
    unittest.main()
