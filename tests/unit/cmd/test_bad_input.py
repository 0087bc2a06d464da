"""Every wrong input is one clear line, no traceback, and an exit code.

The table is the list of what an operator can get wrong on the command line:
the arguments, a part of the line that is printed, and the exit code (1: it
could not be done; 2: it was asked for wrongly).
"""

import json
import math
import subprocess
import sys

from tests.unit.cmd import base

_MIGRATE = ('migrate', 'vm', '--source', 'qemu+tcp://127.0.0.1:1/system')
_THERE = ('--destination', 'qemu+tcp://127.0.0.1:2/system')

_SIMULATE = ('simulate', '--fleet', '{fleet}', '--hours', '1')

_ROLLING = ('rolling', 'racks', '--hook', '/bin/true')

_INSTANCE = {'id': 'i', 'host': 'a', 'vcpus': 1, 'memory_mib': 1024}


def _fleet(*instances):
    """Write a fleet of one host and these instances."""
    return json.dumps(
        {
            'schema': 'kvm-balancer/fleet/1',
            'hosts': [{'name': 'a', 'cpus': 8, 'memory_mib': 8192}],
            'instances': list(instances),
        }
    )


TABLE = (
    # The command itself
    ((), 'no command was given', 2),
    (('nosuch',), "there is no command 'nosuch'", 2),
    (('migrations',), "did you mean 'migrations cancel'", 2),
    (('migrations', 'nosuch'), "no command 'migrations nosuch'", 2),
    (('help', 'nosuch'), "there is no command 'nosuch'", 2),
    (('--nosuch', 'hosts'), 'unknown option --nosuch', 2),
    (('hosts', '--nosuch'), 'unrecognized arguments: --nosuch', 2),
    (('hosts', 'extra'), 'unrecognized arguments: extra', 2),
    (('hosts', '-f', 'nosuch'), "invalid choice: 'nosuch'", 2),
    # Values
    (('plans', '--limit', '0'), "'0' is not a whole number from 1", 2),
    (('plans', '--limit', 'x'), "'x' is not a whole number from 1", 2),
    (('migrations', 'list', '--limit', '-1'), 'not a whole number', 2),
    (('plugins', '--kind', 'nosuch'), "invalid choice: 'nosuch'", 2),
    (('plugins', '-c', 'nosuch'), "No recognized column names in ['nosuch", 2),
    (('lab', 'load', 'host-1', '--cpus', '0'), 'not a finite number abo', 2),
    (('lab', 'load', 'host-1', '--memory', 'nan'), 'finite number above 0', 2),
    (('lab', 'load', 'guest-1', '--cpu', '-1'), 'of 0 or more', 2),
    (('lab', 'load', 'guest-3'), 'nothing is to be changed on guest-3', 2),
    (('migrations', 'show'), 'arguments are required: ID', 2),
    (('migrations', 'cancel'), 'arguments are required: ID', 2),
    (('migrations', 'settle', 'x'), 'required: --as, --reason', 2),
    (
        ('migrations', 'settle', 'x', '--as', 'won', '--reason', 'so'),
        "invalid choice: 'won'",
        2,
    ),
    (('migrations', 'show', '\udcff'), 'is no text: it is not encoded', 2),
    # Configuration
    (('--config-file', '/nonexistent', 'hosts'), '/nonexistent', 2),
    (('--config-dir', '/nonexistent', 'hosts'), '/nonexistent', 2),
    (('--config-file', '/', 'hosts'), '/ cannot be read: Is a directory', 2),
    (('--config-file', '{garbage}', 'hosts'), 'garbage', 2),
    (('--config-file', '{wrong_type}', *_MIGRATE, *_THERE), 'post_copy', 2),
    (('--config-file', '{bad_url}', 'hosts'), 'nosuch', 2),
    # A plan from a file
    (('plan', '--fleet', '/nonexistent'), 'No such file', 2),
    (('plan', '--fleet', '{broken_fleet}'), 'not JSON', 1),
    (('plan', '--fleet', '{deep_fleet}'), 'nested too deeply', 1),
    (('plan', '--fleet', '{wrong_fleet}'), 'nowhere', 1),
    (('plan', '--fleet', ''), '--fleet needs a file name', 2),
    (('plan', '--fleet', '{directory}'), 'Is a directory', 2),
    (('plan', '--fleet', '{empty_fleet}'), 'not JSON', 1),
    (('plan', '--fleet', '{list_fleet}'), 'not a fleet document', 1),
    (('plan', '--fleet', '{other_schema}'), "must be 'kvm-balancer/fl", 1),
    (('plan', '--fleet', '{twice_fleet}'), 'instances[1] i: id: is there', 1),
    (('plan', '--fleet', '{nan_fleet}'), 'instances[0] i: cpu_usage: is n', 1),
    (('plan', '--fleet', '{negative_fleet}'), 'instances[0] i: vcpus: is', 1),
    (('plan', '--fleet', '{short_fleet}'), 'instances[0] i: Object missi', 1),
    (('plan', '--fleet', '{typed_fleet}'), 'instances[0] i: vcpus: Exp', 1),
    (('plan', '--fleet', '{fleet}', '--policy', 'nosuch'), "'nosuch'", 2),
    (('plan', '--fleet', '{fleet}', '--target', '2'), 'not a number', 2),
    (('plan', '--fleet', '{huge_fleet}'), 'at most 1e+15', 1),
    (
        ('plan', '--fleet', '{fleet}', '--policy', 'spread,spread'),
        'policy spread is named 2 times',
        2,
    ),
    (('plan', '--fleet', '{fleet}', '--budget', '0'), 'a number from 0.0', 2),
    (('plan', '--fleet', '{fleet}', '--max-gib', '0'), 'a finite numb', 2),
    (('plan', '--fleet', '{fleet}', '--max-gib', 'x'), 'a finite numb', 2),
    (('plan', '--fleet', '{fleet}', '--max-gib', 'inf'), 'a finite nu', 2),
    (('plan', '--fleet', '{fleet}', '--max-gib', 'nan'), 'a finite nu', 2),
    (('plan', '--fleet', '{fleet}', '--max-gib=-1'), 'a finite number', 2),
    (('explain', '', '--fleet', '{fleet}'), 'without a name', 1),
    (('plan', '--fleet', '{fleet}', '--limit', 'x'), 'not a number', 2),
    (('plan', '--fleet', '{fleet}', '--max-moves', '0'), 'whole number', 2),
    (('plan',), '127.0.0.1:1 refuses connections', 1),
    # A simulation
    (('simulate',), 'arguments are required: --fleet', 2),
    (('simulate', '--fleet', '/nonexistent'), 'No such file', 2),
    (('simulate', '--fleet', '{broken_fleet}'), 'not JSON', 1),
    (('simulate', '--fleet', '{no_hosts}'), 'hosts: there are none', 1),
    ((*_SIMULATE, '--load', '/nonexistent'), 'No such file', 2),
    ((*_SIMULATE, '--load', '{fleet}'), 'there is no column instance', 1),
    ((*_SIMULATE, '--load', '{bad_load}'), "line 3: cpu_usage: is 'x'", 1),
    ((*_SIMULATE, '--hours', '0'), 'not a finite number abo', 2),
    ((*_SIMULATE, '--hours', '2', '--watch-hours', '2'), 'nothing of', 2),
    ((*_SIMULATE, '--start', 'monday'), "'monday' is not a time such", 2),
    ((*_SIMULATE, '--start', '9999-12-31'), 'in no year that there is', 2),
    ((*_SIMULATE, '--step', '0.1'), 'not a number from 1 to 3600', 2),
    ((*_SIMULATE, '--seed', '-1'), 'not a whole number', 2),
    ((*_SIMULATE, '--lost-samples', '101'), 'from 0 to 100', 2),
    ((*_SIMULATE, '--arrivals', 'nan'), 'finite number of 0 or more', 2),
    ((*_SIMULATE, '--policy', 'nosuch'), "there is no policy 'nosuch'", 2),
    ((*_SIMULATE, '--compare', 'x'), "must be 'nothing' or GROUP.OPT", 2),
    ((*_SIMULATE, '--compare', 'spread.no=1'), 'no option no in [spre', 2),
    ((*_SIMULATE, '--compare', 'no.no=1'), 'no option no in [no]', 2),
    ((*_SIMULATE, '--compare', 'spread.start=x'), "'x' is not a number", 2),
    (
        (*_SIMULATE, '--compare', 'agent.max_migrations=1.5'),
        "'1.5' is not a whole number",
        2,
    ),
    ((*_SIMULATE, '--compare', 'spread.start=7'), 'spread.start=7: ', 2),
    ((*_SIMULATE, '--report', '{fleet}/x'), 'cannot be left in', 2),
    # Drains
    (('drain', 'a', '--timeout', 'nan'), 'is not a finite number of 0 or', 2),
    ((*_ROLLING, '--at-once', '0'), "'0' is not a whole number from 1", 2),
    ((*_ROLLING, '--back-within', 'nan'), 'is not a finite number of 0', 2),
    # The bus
    (('hosts',), '127.0.0.1:1 refuses connections', 1),
    (('instances',), '127.0.0.1:1 refuses connections', 1),
    (('plans',), '127.0.0.1:1 refuses connections', 1),
    (('plans', 'show', 'x'), '127.0.0.1:1 refuses connections', 1),
    (('migrations', 'list'), '127.0.0.1:1 refuses connections', 1),
    (('migrations', 'show', 'x'), '127.0.0.1:1 refuses connections', 1),
    (('migrations', 'cancel', 'x'), '127.0.0.1:1 refuses connections', 1),
    (('status',), '127.0.0.1:1 refuses connections', 1),
    (('fleet', 'export'), '127.0.0.1:1 refuses connections', 1),
    # The database
    (('--config-file', '{no_directory}', 'db', 'upgrade'), 'create it', 1),
    (('--config-file', '{no_database}', 'db', 'version'), 'not a database', 1),
    (('--config-file', '{no_dialect}', 'db', 'version'), 'nosuch', 1),
    (('--config-file', '{no_url}', 'db', 'version'), 'not the URL', 1),
    # One migration by hand
    (('migrate',), 'arguments are required', 2),
    (_MIGRATE, 'required: --destination', 2),
    ((*_MIGRATE, '--destination', 'host-b'), 'no libvirt URI', 2),
    (
        (*_MIGRATE, '--destination', 'qemu+tcp://[::1/system'),
        "'qemu+tcp://[::1/system' is no libvirt URI, as qemu+ssh://host/sy",
        2,
    ),
    (
        ('migrate', 'vm', *_THERE, '--source', 'qemu+tcp://h:99999/system'),
        'Port out of range',
        2,
    ),
    ((*_MIGRATE, '--destination', _MIGRATE[-1]), 'the same host', 2),
    ((*_MIGRATE, *_THERE), 'libvirt at qemu+tcp://127.0.0.1:1/system', 1),
    ((*_MIGRATE, *_THERE, '--migration-address', 'tcp://x'), "'tcp://x'", 2),
    ((*_MIGRATE, *_THERE, '--max-downtime', '0'), 'not a whole number', 2),
    (
        (*_MIGRATE, *_THERE, '--post-copy-patience', '0.9'),
        'not a number from 1 to 1000',
        2,
    ),
    ((*_MIGRATE, *_THERE, '--bandwidth', '-1'), 'not a whole number', 2),
    ((*_MIGRATE, *_THERE, '--time-limit', '-1'), 'whole number from 0', 2),
    (
        (*_MIGRATE, *_THERE, '--auto-converge-initial', '100'),
        "'100' is not a whole number from 0 to 99",
        2,
    ),
    (
        (*_MIGRATE, *_THERE, '--auto-converge-increment', '1.5'),
        "'1.5' is not a whole number from 0 to 99",
        2,
    ),
    (
        ('--config-file', '{no_plugin}', *_MIGRATE, *_THERE),
        "no_plugin: [migration] convergence: there is no convergence 'nosuch'",
        2,
    ),
    (
        (*_MIGRATE, *_THERE, '--convergence', 'nosuch'),
        "there is no convergence 'nosuch'",
        2,
    ),
    (
        (
            *_MIGRATE,
            *_THERE,
            '--no-auto-converge',
            '--auto-converge-initial',
            '50',
        ),
        '--auto-converge-initial: the instance is not slowed down at all',
        2,
    ),
)


class BadInputTest(base.CommandCase):
    def setUp(self):
        super().setUp()
        no_database = self.write('no_database.sqlite', 'no database ' * 100)
        texts = {
            'garbage': 'this is no configuration\n',
            'wrong_type': '[migration]\npost_copy = perhaps\n',
            'bad_url': '[DEFAULT]\ntransport_url = nosuch://host/\n',
            'no_plugin': '[migration]\nconvergence = nosuch\n',
            'no_directory': '[database]\nconnection = sqlite:////no/way/x\n',
            'no_database': f'[database]\nconnection=sqlite:///{no_database}\n',
            'no_dialect': '[database]\nconnection = nosuch://host/x\n',
            'no_url': '[database]\nconnection = nonsense\n',
        }
        host = '{"name": "a", "cpus": 8, "memory_mib": 8192}'
        lost = '{"id": "i", "host": "nowhere", "vcpus": 1, "memory_mib": 1}'
        schema = '"schema": "kvm-balancer/fleet/1"'
        fleets = {
            'broken_fleet': '{',
            'deep_fleet': '[' * 100_000,
            'wrong_fleet': f'{{{schema}, "hosts": [{host}], '
            f'"instances": [{lost}]}}',
            'fleet': f'{{{schema}, "hosts": [{host}], "instances": []}}',
            'no_hosts': f'{{{schema}, "hosts": [], "instances": []}}',
            'bad_load': 'instance,second,cpu_usage\na,0,1\na,60,x\n',
            'empty_fleet': '',
            'list_fleet': '[]',
            'other_schema': '{"schema": "kvm-balancer/plan/1"}',
            'twice_fleet': _fleet(_INSTANCE, _INSTANCE),
            'nan_fleet': _fleet({**_INSTANCE, 'cpu_usage': math.nan}),
            'huge_fleet': _fleet({**_INSTANCE, 'cpu_usage': 1e308}),
            'negative_fleet': _fleet({**_INSTANCE, 'vcpus': -1}),
            'short_fleet': _fleet({'id': 'i', 'host': 'a'}),
            'typed_fleet': _fleet({**_INSTANCE, 'vcpus': 'two'}),
        }
        self.files = {
            name: self.write(name, text)
            for name, text in {**texts, **fleets}.items()
        }
        self.files['directory'] = str(self.directory)

    def test_everything_in_the_table(self):
        for arguments, text, code in TABLE:
            with self.subTest(' '.join(arguments)):
                ran = self.run_cli(
                    *(one.format(**self.files) for one in arguments)
                )
                self.assertEqual(code, ran.code, ran)
                self.assertIn(text, ran.err)
                self.assertEqual(1, len(ran.err.splitlines()), ran.err)
                self.assertEqual('', ran.out)

    def test_a_program_of_its_own_ends_the_same_way(self):
        """Nothing that the libraries print on their way out gets through."""
        for arguments, code in ((('hosts',), 1), (('nosuch',), 2)):
            with self.subTest(arguments):
                ran = subprocess.run(
                    [
                        sys.executable,
                        '-m',
                        'kvm_balancer.cmd.cli',
                        '--config-file',
                        self.conf_file,
                        *arguments,
                    ],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                self.assertEqual((code, ''), (ran.returncode, ran.stdout))
                self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)

    def test_debug_shows_where_it_came_from(self):
        ran = self.run_cli('--debug', 'plugins', '--kind', 'filters')
        self.assertEqual(0, ran.code)
        ran = self.run_cli(
            '--debug', '--config-file', self.files['no_url'], 'db', 'version'
        )
        self.assertEqual(1, ran.code)
        self.assertIn('Traceback', ran.err)
