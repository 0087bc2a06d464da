"""The command line and a running agent, over a real RabbitMQ."""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from kvm_balancer.lab import broker

_TIMEOUT_SECONDS = 600


class AgentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if broker.program() is None:
            raise RuntimeError('rabbitmq-server is not installed')
        made = tempfile.TemporaryDirectory(prefix='kvm-balancer-cmd-')
        cls.addClassCleanup(made.cleanup)
        folder = pathlib.Path(made.name)
        rabbit = broker.Broker(folder / 'rabbit', pki=None)
        cls.addClassCleanup(rabbit.stop)
        rabbit.start()
        cls.conf = folder / 'kvm-balancer.conf'
        cls.conf.write_text(
            f'[DEFAULT]\ntransport_url = {rabbit.url}\n'
            f'[database]\nconnection = sqlite:///{folder}/agent.sqlite\n'
        )

    def _command(self, module, *arguments):
        return [
            *(sys.executable, '-m', f'kvm_balancer.cmd.{module}'),
            *('--config-file', str(self.conf)),
            *arguments,
        ]

    def _run(self, module, *arguments):
        return subprocess.run(
            self._command(module, *arguments),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )

    def _start_agent(self):
        agent = subprocess.Popen(
            self._command('agent'),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(agent.stdout.close)
        self.addCleanup(agent.wait, _TIMEOUT_SECONDS)
        self.addCleanup(agent.send_signal, signal.SIGTERM)
        for line in agent.stdout:
            if 'The agent is up' in line:
                return
        self.fail('the agent did not come up')

    def test_an_agent_is_set_up_and_asked(self):
        """From an empty directory to answers, each failure one line."""
        ran = self._run('agent')
        self.assertEqual(1, ran.returncode)
        self.assertIn("run 'kvm-balancer db upgrade'", ran.stderr)
        self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)

        ran = self._run('cli', 'hosts')
        self.assertEqual((1, ''), (ran.returncode, ran.stdout))
        self.assertIn('is not on the message bus', ran.stderr)
        self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)

        self.assertEqual(0, self._run('cli', 'db', 'upgrade').returncode)
        self._start_agent()
        for command, answer in (
            (('hosts',), []),
            (('instances',), []),
            (('plans',), []),
            (('migrations', 'list', '--unknown'), []),
        ):
            ran = self._run('cli', *command, '-f', 'json')
            self.assertEqual((0, ''), (ran.returncode, ran.stderr))
            self.assertEqual(answer, json.loads(ran.stdout))
        ran = self._run('cli', 'status')
        self.assertRegex(ran.stdout, r'\| Mode +\| advise ')

        ran = self._run('cli', 'migrations', 'show', 'nosuch')
        self.assertEqual((1, ''), (ran.returncode, ran.stdout))
        self.assertRegex(ran.stderr, r'^\S+: there is no migration nosuch\n$')
