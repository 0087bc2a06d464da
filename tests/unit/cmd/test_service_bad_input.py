"""What keeps a service from starting is one clear line and an exit code.

What may pass by itself (a broker or a libvirt that is away) does not: the
service says so once, goes on trying, and ends in order when it is told to.
"""

import concurrent.futures
import os
import signal
import sqlite3
import subprocess
import sys

from tests.unit.cmd import base

_TIMEOUT_SECONDS = 600

_BROKER = '[DEFAULT]\ntransport_url = rabbit://a:b@127.0.0.1:1/\n'
_DATABASE = '[database]\nconnection = sqlite:///{directory}/agent.sqlite\n'
_STATE = '[executor]\nstate_path = {directory}/executor.sqlite\n'

#: program, what its file holds beside what is right, a part of the line,
#: exit code
TABLE = (
    ('agent', '[agent]\npolicies = nosuch\n', "no policy 'nosuch'", 2),
    ('agent', '[planner]\nfilters = nosuch\n', "no filter 'nosuch'", 2),
    ('agent', '[planner]\nweighers = nosuch\n', "no weigher 'nosuch'", 2),
    ('agent', '[agent]\ninterval_seconds = x\n', '[agent] interval_seco', 2),
    ('agent', '[relieve]\nlimit = nan\n', "limit: 'nan' is not a num", 2),
    ('agent', '[agent]\nmode = x\n', '[agent] mode: Valid values are', 2),
    ('agent', '[agent]\nrpc_timeout_seconds = -1\n', '_seconds: Should b', 2),
    ('agent', '[executor]\nmanage = x\n', '[executor] manage: Valid v', 2),
    ('agent', '[DEFAULT]\ntransport_url = zmq://h/\n', "'zmq' is no tr", 2),
    ('agent', '[DEFAULT]\ntransport_url = x\n', 'transport_url cannot', 2),
    ('agent', 'no configuration\n', 'wrong.conf', 2),
    ('agent', '[database]\nconnection = x\n', 'not the URL', 1),
    ('agent', '[database]\nconnection = nosuch+x://h/x\n', 'nosuch', 1),
    ('agent', '[database]\nconnection = sqlite:////no/way/x\n', 'create', 1),
    ('agent', '[database]\nconnection = sqlite:///{garbage}\n', 'not a da', 1),
    ('agent', '[database]\nconnection = sqlite:///{empty}\n', 'upgrade', 1),
    ('executor', '[executor]\ndriver = nosuch\n', "no driver 'nosuch'", 2),
    ('executor', '[migration]\nconvergence = x\n', "no convergence 'x'", 2),
    ('executor', '[executor]\nstate_path = /no/way/x\n', 'create it', 1),
    ('executor', '[executor]\nstate_path = {garbage}\n', 'not a databa', 1),
    ('executor', '[executor]\nstate_path = {directory}\n', 'unable to', 1),
    ('executor', '[executor]\nstate_path = {foreign}\n', 'another pro', 1),
    ('executor', '[host]\nreadings_file = /no/way\n', '/no/way', 2),
    ('executor', '[host]\nreadings_file = {garbage}\n', 'not JSON', 2),
    ('executor', '[libvirt]\nuri = nonsense\n', "[libvirt] uri: 'nons", 2),
    ('executor', '[libvirt]\npeer_uri = x\n', "[libvirt] peer_uri: 'x'", 2),
    ('executor', '[host]\nmigration_address = tcp://x\n', "'tcp://x'", 2),
    ('executor', '[host]\nmax_outgoing = many\n', '[host] max_outgoing', 2),
)

#: program, arguments, a part of the line
COMMAND_LINES = (
    ('agent', ('--nonsense',), 'unrecognized arguments: --nonsense'),
    ('agent', ('extra',), "see 'kvm-balancer-agent --help'"),
    ('agent', ('--config-file', '/no/way'), '/no/way'),
    ('agent', ('--config-file', '/'), '/ cannot be read: Is a directory'),
    ('executor', ('--nonsense',), "see 'kvm-balancer-executor --help'"),
    ('executor', ('--config-dir', '/no/way'), '/no/way'),
)


class _ServiceCase(base.CommandCase):
    def setUp(self):
        super().setUp()
        foreign = str(self.directory / 'foreign.sqlite')
        with sqlite3.connect(foreign) as connection:
            connection.execute('CREATE TABLE songs (name TEXT)')
        connection.close()
        self.files = {
            'directory': self.directory,
            'garbage': self.write('garbage', 'no database ' * 100),
            'empty': self.write('empty', ''),
            'foreign': foreign,
        }
        self.right = self.write(
            'right.conf', self.text(_BROKER + _DATABASE + _STATE)
        )
        upgraded = base.run_cli('--config-file', self.right, 'db', 'upgrade')
        self.assertEqual(0, upgraded.code, upgraded.err)

    def text(self, text):
        return text.format(**self.files)

    def command(self, program, *arguments):
        return [
            sys.executable,
            '-m',
            f'kvm_balancer.cmd.{program}',
            *arguments,
        ]

    def ran(self, program, *arguments):
        return subprocess.run(
            self.command(program, *arguments),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, 'HOME': str(self.directory)},
        )


class RefusalTest(_ServiceCase):
    def test_what_is_wrong_for_good_ends_the_program(self):
        jobs = []
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for number, (program, text, part, code) in enumerate(TABLE):
                wrong = self.write(f'{number}-wrong.conf', self.text(text))
                arguments = ('--config-file', self.right)
                arguments += ('--config-file', wrong)
                job = pool.submit(self.ran, program, *arguments)
                jobs.append((job, program, text, part, code))
            for program, arguments, part in COMMAND_LINES:
                job = pool.submit(self.ran, program, *arguments)
                jobs.append((job, program, arguments, part, 2))
        for job, program, what, part, code in jobs:
            with self.subTest(program=program, what=what):
                ran = job.result()
                self.assertIn(part, ran.stderr)
                self.assertEqual((code, ''), (ran.returncode, ran.stdout))
                self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)
                self.assertNotIn('Locations', ran.stderr)


class OutageTest(_ServiceCase):
    def start(self, program, *arguments, **environment):
        """Start a service that is told to end with the test."""
        service = subprocess.Popen(
            self.command(program, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, 'HOME': str(self.directory), **environment},
        )
        self.addCleanup(service.stdout.close)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)
        return service

    def until(self, service, *parts):
        """Read the log until each part was in a line; return its lines."""
        lines = []
        while not all(any(one in line for line in lines) for one in parts):
            line = service.stdout.readline()
            self.assertTrue(line, lines)
            lines.append(line)
        return lines

    def end(self, service):
        """End a service in order; return what else it logged."""
        service.send_signal(signal.SIGTERM)
        rest, _ = service.communicate(timeout=_TIMEOUT_SECONDS)
        self.assertEqual(0, service.returncode, rest)
        return rest.splitlines()

    def test_an_agent_waits_for_its_broker(self):
        """One line says which; SIGTERM ends the wait."""
        agent = self.start('agent', '--config-file', self.right)
        lines = self.until(agent, '127.0.0.1:1 refuses connections')
        lines += self.end(agent)
        told = [line for line in lines if 'refuses connections' in line]
        self.assertEqual(1, len(told), lines)
        self.assertIn('trying until it works', told[0])
        self.assertNotIn('Traceback', ''.join(lines))

    def test_an_executor_waits_for_its_broker_and_its_libvirt(self):
        away = self.write(
            'away.conf',
            '[libvirt]\nuri = qemu+tcp://127.0.0.1:2/system\n',
        )
        executor = self.start(
            'executor', '--config-file', self.right, '--config-file', away
        )
        lines = self.until(
            executor,
            'libvirt at qemu+tcp://127.0.0.1:2/system does not answer',
            '127.0.0.1:1 refuses connections',
        )
        lines += self.end(executor)
        self.assertNotIn('Traceback', ''.join(lines))

    def test_slips_of_the_pen_are_named_at_the_start(self):
        """Each unknown option is one warning, with what it looks like."""
        slips = self.write(
            'slips.conf',
            '[DEFAULT]\ntransport_ulr = x\nnothing_like_it = x\n'
            '[agent]\nmod = automatic\nrpc-timeout-seconds = 9\nqqq = 1\n'
            '[agnt]\nmode = advise\n'
            '[somebody_elses]\nmode = advise\n',
        )
        agent = self.start(
            'agent', '--config-file', self.right, '--config-file', slips
        )
        lines = self.until(agent, '127.0.0.1:1 refuses connections')
        self.end(agent)
        warnings = [
            line.strip().partition('slips.conf: ')[2]
            for line in lines
            if 'WARNING' in line
        ]
        self.assertEqual(
            [
                '[DEFAULT] transport_ulr is no option and is ignored; did '
                'you mean transport_url?',
                '[agent] mod is no option and is ignored; did you mean mode?',
                '[agent] qqq is no option and is ignored',
                '[agnt] is no group of options and is ignored; did you mean '
                '[agent]?',
            ],
            warnings,
        )

    def test_the_file_of_the_project_is_read_by_default(self):
        """Both services find it where oslo.config looks for it."""
        folder = self.directory / '.kvm_balancer'
        folder.mkdir()
        (folder / 'kvm-balancer.conf').write_text(
            '[DEFAULT]\ntransport_url = zmq://h/\n'
            + self.text(_DATABASE + _STATE)
        )
        for program in ('agent', 'executor'):
            with self.subTest(program):
                ran = self.ran(program)
                self.assertIn("'zmq'", ran.stderr)
                self.assertEqual(2, ran.returncode)
