"""The command line and a running agent, over a real RabbitMQ."""

import json
import unittest

from tests.functional.cmd import services


class AgentTest(services.ServiceCase):
    def test_an_agent_is_set_up_and_asked(self):
        """From an empty directory to answers, each failure one line."""
        ran = self.run_command('agent')
        self.assertEqual(1, ran.returncode)
        self.assertIn("run 'kvm-balancer db upgrade'", ran.stderr)
        self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)

        ran = self.run_command('cli', 'hosts')
        self.assertEqual((1, ''), (ran.returncode, ran.stdout))
        self.assertIn('is not on the message bus', ran.stderr)
        self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)

        self.assertEqual(
            0, self.run_command('cli', 'db', 'upgrade').returncode
        )
        self.start('agent', 'The agent is up')
        for command, answer in (
            (('hosts',), []),
            (('instances',), []),
            (('plans',), []),
            (('migrations', 'list', '--unknown'), []),
        ):
            ran = self.run_command('cli', *command, '-f', 'json')
            self.assertEqual((0, ''), (ran.returncode, ran.stderr))
            self.assertEqual(answer, json.loads(ran.stdout))
        ran = self.run_command('cli', 'status')
        self.assertRegex(ran.stdout, r'\| Mode +\| advise ')

        ran = self.run_command('cli', 'migrations', 'show', 'nosuch')
        self.assertEqual((1, ''), (ran.returncode, ran.stdout))
        self.assertRegex(ran.stderr, r'^\S+: there is no migration nosuch\n$')


if __name__ == '__main__':
    unittest.main()
