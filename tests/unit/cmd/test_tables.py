"""What the commands show: short to people, whole to programs."""

import json
import os
from unittest import mock

from kvm_balancer import errors
from tests.unit.cmd import base

_ID = '5bdf9e0a-93ad-4a3b-8b6d-0f4a5d3c2b1a'

_HOST = {
    'name': 'compute-0001.example.org',
    'state': 'enabled',
    'zone': 'az1',
    'cpus': 64.0,
    'cpu_load': 0.912,
    'memory_load': 0.5,
    'instances': 12,
    'sample_age_seconds': 3.25,
    'silent': False,
    'pressure_cpu': 1.5,
}
_INSTANCE = {
    'id': _ID,
    'name': 'web-000001',
    'host': 'compute-0001',
    'owner': 'balancer',
    'state': 'running',
    'vcpus': 4.0,
    'memory_mib': 16384.0,
    'cpu_usage': 3.456,
    'dirty_rate_mib_s': 120.25,
    'movable': True,
}
_MIGRATION = {
    'id': _ID,
    'instance': _ID,
    'source': 'compute-0001',
    'destination': 'compute-0002',
    'state': 'completed',
    'outcome': 'completed',
    'mode': 'pre-copy',
    'total_ms': 12345.6,
    'downtime_ms': None,
    'reason': 'both ends agree',
    'accepted_at': 1700000000.5,
}
_STORY = {
    **_MIGRATION,
    'plan_id': None,
    'statistics': {
        'iteration': 3,
        'remaining_mib': 12.5,
        'bandwidth_mib_s': 100.0,
        'throttle_percent': 20,
    },
    'predicted': {
        'seconds': 2.5,
        'downtime_ms': 40.0,
        'mib': 2048.0,
        'mode': 'pre-copy',
        'converges': False,
    },
    'story': [
        {'at': 1700000000.5, 'state': 'requested', 'text': 'accepted'},
        {'at': 1700000001.5, 'state': 'pre-copy', 'text': 'word ' * 40},
    ],
}
_STATUS = {
    'mode': 'advise',
    'up_seconds': 12.5,
    'hosts': 3,
    'silent_hosts': 1,
    'instances': 8,
    'samples_accepted': 100,
    'samples_refused': {'future': 2},
    'migrations': 0,
    'policies': [{'policy': 'relieve', 'mood': 'calm', 'text': 'x ' * 90}],
}
_PLAN = {
    'id': _ID,
    'created_at': 1700000000.5,
    'policy': 'spread',
    'mode': 'advise',
    'moves': 3,
    'summary': 'spread is 0.25 and should be 0.10: ' + 'host, ' * 30,
    'state': 'advised',
}


class TablesTest(base.CommandCase):
    def setUp(self):
        super().setUp()
        self.agent = base.FakeAgent(
            list_hosts=[_HOST, {**_HOST, 'name': 'd', 'silent': True}],
            list_instances=[_INSTANCE],
            list_plans=[_PLAN],
            show_plan={
                **_PLAN,
                'moves': [
                    {
                        'instance': 'web-1',
                        'source': 'a',
                        'destination': 'b',
                        'state': 'planned',
                        'reason': 'a is at 0.91 CPU',
                    }
                ],
            },
            list_migrations=[_MIGRATION],
            show_migration=_STORY,
            cancel_migration={'id': _ID, 'asked': True, 'state': 'pre-copy'},
            settle_migration={'id': _ID, 'state': 'failed'},
            status=_STATUS,
            export_fleet={'schema': 'kvm-balancer/fleet/1', 'hosts': []},
        )
        patched = self.agent.connected()
        patched.start()
        self.addCleanup(patched.stop)

    def test_no_table_is_wider_than_a_terminal(self):
        for command in (
            ('hosts',),
            ('instances',),
            ('plans',),
            ('plans', 'show', _ID),
            ('migrations', 'list'),
            ('migrations', 'show', _ID),
            ('status',),
        ):
            with self.subTest(command):
                ran = self.run_cli(*command)
                self.assertEqual((0, ''), (ran.code, ran.err))
                widest = max(len(line) for line in ran.out.splitlines())
                self.assertLessEqual(widest, 120, ran.out)
                self.assertNotIn('None', ran.out)

    def test_a_plan_says_what_its_parts_were_to_gain(self):
        purpose = {
            'policy': 'drain',
            'what': 'instances on draining hosts',
            'before': 3.0,
            'after': 0.0,
            'counted': True,
        }
        points = [
            {
                'moves': moves,
                'cpu_stddev': 0.2,
                'mib': 1024.0 * moves,
                'left': {'drain': 3.0 - moves},
            }
            for moves in (1, 2, 3)
        ]
        self.agent.answers['show_plan'] = {
            **self.agent.answers['show_plan'],
            'document': {'purposes': [purpose], 'frontier': points},
        }
        out = self.run_cli('plans', 'show', _ID).out
        words = ' '.join(out.replace('|', ' ').split())
        self.assertIn('drain: instances on draining hosts 3 -> 0', words)
        self.assertIn('1 1.0 2 33%', words)
        self.assertIn('3 moves', out.splitlines()[-1])
        self.assertIn('GiB copied', out)

    def test_a_migration_under_way_says_what_it_takes_and_is_drawn(self):
        under_way = {
            'state': 'pre-copy',
            'outcome': None,
            'remaining_seconds': 75.2,
        }
        shown = {
            **_STORY,
            **under_way,
            'track': {
                'begun_at': 1700000000.5,
                'seconds': [0.5, 9.5],
                'remaining_mib': [2048.0, 100.0],
                'disk_remaining_mib': [0.0, 0.0],
                'bandwidth_mib_s': [200.0, 210.0],
                'dirty_rate_mib_s': [0.0, 20.0],
                'throttle_percent': [0, 20],
                'passes': [1, 2],
                'states': [{'seconds': 0.5, 'state': 'pre-copy'}],
            },
        }
        self.agent.answers.update(
            list_migrations=[{**_MIGRATION, **under_way}],
            show_migration=shown,
        )
        with mock.patch.dict(os.environ, COLUMNS='80'):
            listed = self.run_cli('migrations', 'list').out
            drawn = self.run_cli('migrations', 'show', _ID).out
            plain = self.run_cli('migrations', 'show', _ID, '-f', 'json').out
        self.assertIn('1:15 min left', listed)
        for words in ('memory left', 'throttle', 'bandwidth'):
            self.assertIn(words, drawn)
        self.assertEqual(shown['track'], json.loads(plain)['track'])
        for line in (listed + drawn).splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_tables_of_long_names_fit_80_columns_and_break_no_word(self):
        name = 'compute-rack17-node0042.dc1.cloud.example.com'
        self.agent.answers.update(
            list_hosts=[{**_HOST, 'name': name, 'zone': 'availability-1'}],
            list_instances=[
                {**_INSTANCE, 'name': 'payroll-database-01', 'host': name}
            ],
            list_migrations=[
                {**_MIGRATION, 'source': name, 'destination': name}
            ],
            list_plans=[{**_PLAN, 'policy': 'relieve,spread'}],
        )
        with mock.patch.dict(os.environ, COLUMNS='80'):
            for command, words in (
                (('hosts',), ('enabled', '91%')),
                (('instances',), ('5bdf9e0a', '16,384', '120.2')),
                (('migrations', 'list'), ('completed', '5bdf9e0a')),
                (('plans',), ('advised', 'relieve')),
                (('plugins',), ('cpu_compatibility', 'convergence')),
            ):
                with self.subTest(command):
                    out = self.run_cli(*command).out
                    widest = max(len(line) for line in out.splitlines())
                    self.assertLessEqual(widest, 80, out)
                    for word in words:
                        self.assertIn(f' {word}', out)

    def test_status_counts_what_no_source_tells(self):
        source = {
            'source': 'prometheus',
            'hosts': 9,
            'hosts_missing': 7,
            'instances': 40,
            'instances_missing': 39,
            'trouble': 'it does not answer',
        }
        self.agent.answers['status'] = {
            **_STATUS,
            'hosts_without_metrics': [f'cmp{n}' for n in range(7)],
            'instances_without_metrics': 39,
            'metric_sources': [source],
        }
        out = ' '.join(self.run_cli('status').out.replace('|', ' ').split())
        self.assertIn(
            'prometheus: 2 of 9 hosts, 1 of 40 instances; it does not answer',
            out,
        )
        self.assertIn('7: cmp0, cmp1, cmp2, cmp3, cmp4, ...', out)
        self.assertIn('Instances unknown 39', out)

    def test_status_tells_how_much_is_known_of_nova(self):
        known = {
            'servers': 40,
            'computes': 9,
            'age_seconds': 700.0,
            'stale': True,
            'trouble': 'Nova does not answer',
        }
        for nova, said in (
            (None, '| Nova | - |'),
            ({**known, 'age_seconds': None}, 'nothing was read yet'),
            (known, '40 servers on 9 computes, as of 700 s ago'),
            (known, 'too old to go by: no server is moved'),
            (known, 'Nova does not answer'),
        ):
            self.agent.answers['status'] = {**_STATUS, 'nova': nova}
            out = ' '.join(self.run_cli('status').out.split())
            self.assertIn(said, out)

    def test_drains_tell_what_is_left_and_what_nobody_knows(self):
        self.agent.answers['list_drains'] = [
            {
                'host': 'cmp1',
                'state': 'stuck',
                'moved': 2,
                'left': [{'instance': 'u1', 'name': 'web', 'reason': ''}],
                'resting': [
                    {'instance': 'u2', 'name': 'db', 'reason': 'it is SHUTOFF'}
                ],
                'doubt': 'cmp1 has gone silent',
                'reason': 'a new disk',
                'begun_at': 1_700_000_000.0,
            }
        ]
        out = ' '.join(self.run_cli('drains').out.replace('|', ' ').split())
        for said in ('gone silent', 'web: to be moved', 'db: it is SHUTOFF'):
            self.assertIn(said, out)

    def test_rows_stand_in_the_order_of_their_names(self):
        for command, answer, one in (
            ('hosts', 'list_hosts', _HOST),
            ('instances', 'list_instances', _INSTANCE),
        ):
            with self.subTest(command):
                self.agent.answers[answer] = [
                    {**one, 'name': name} for name in ('h-10', 'b', 'h-2')
                ]
                rows = self.run_cli(command, '-f', 'json').json
                self.assertEqual(
                    ['b', 'h-2', 'h-10'], [row['name'] for row in rows]
                )

    def test_what_was_never_measured_is_a_dash(self):
        self.agent.answers['list_instances'] = [
            {**_INSTANCE, 'dirty_rate_mib_s': None}
        ]
        self.assertRegex(self.run_cli('instances').out, r' - \| yes')

    def test_programs_get_the_whole_answer_as_it_is(self):
        for command, answer in (
            (('hosts',), self.agent.answers['list_hosts']),
            (('instances',), [_INSTANCE]),
            (('plans',), [_PLAN]),
            (('migrations', 'list'), [_MIGRATION]),
            (('migrations', 'show', _ID), _STORY),
            (('status',), _STATUS),
        ):
            with self.subTest(command):
                ran = self.run_cli(*command, '-f', 'json')
                self.assertEqual((0, ''), (ran.code, ran.err))
                self.assertEqual(answer, ran.json)

    def test_an_empty_list_is_a_table_without_rows_and_empty_json(self):
        self.agent.answers['list_hosts'] = []
        self.assertIn('| Host |', self.run_cli('hosts').out)
        self.assertEqual([], self.run_cli('hosts', '-f', 'json').json)

    def test_people_see_loads_in_per_cent_and_who_is_silent(self):
        out = self.run_cli('hosts').out
        self.assertIn(' 91% ', out)
        self.assertIn('| silent ', out)

    def test_a_record_says_how_far_off_its_prediction_was(self):
        self.agent.answers['show_migration'] = {
            **_STORY,
            'outcome': 'completed',
            'mode': 'post-copy',
            'total_ms': 3000.0,
            'downtime_ms': 10.0,
            'transferred_mib': 2048.0,
        }
        out = self.run_cli('migrations', 'show', _ID).out
        self.assertIn(
            'really: time +20%, downtime -75%, MiB +0%, and by post-copy', out
        )

    def test_what_never_began_went_across_by_no_mode(self):
        for row, shown in (
            ({'outcome': 'failed', 'iterations': 0}, False),
            ({'outcome': 'failed', 'iterations': 1}, True),
            # of which nobody saw the copy
            ({'outcome': 'completed', 'iterations': 0}, True),
        ):
            self.agent.answers['show_migration'] = {
                **_MIGRATION,
                'plan_id': None,
                'transferred_mib': 0.0,
                **row,
            }
            out = self.run_cli('migrations', 'show', _ID).out
            with self.subTest(row):
                self.assertIs(shown, 'pre-copy' in out)

    def test_a_record_says_how_its_migration_would_end(self):
        out = self.run_cli('migrations', 'show', _ID).out
        self.assertIn('does not converge and is given up', out)

    def test_what_is_unknown_says_what_to_do_about_it(self):
        row = {
            'id': _ID,
            'instance': 'i-1',
            'source': 'a',
            'destination': 'b',
            'reason': 'an end cannot be asked; do nothing to the other copy',
        }
        self.agent.answers['list_migrations'] = [row]
        out = self.run_cli('migrations', 'list', '--unknown').out
        words = ' '.join(out.replace('|', ' ').split())
        for said in ('an end cannot be', 'asked', 'do nothing', 'what to do'):
            self.assertIn(said, words)

    def test_what_is_asked_of_the_agent(self):
        for command, call in (
            (('instances', '--host', 'a'), ('list_instances', {'host': 'a'})),
            (('plans', '--limit', '7'), ('list_plans', {'limit': 7})),
            (('plans', 'show', 'x'), ('show_plan', {'plan_id': 'x'})),
            (
                [
                    'migrations',
                    'list',
                    '--unknown',
                    '--instance',
                    'i',
                    '--host',
                    'h',
                ],
                (
                    'list_migrations',
                    {
                        'unknown': True,
                        'instance': 'i',
                        'host': 'h',
                        'limit': None,
                    },
                ),
            ),
            *(
                (
                    ('migrations', 'list', *given),
                    (
                        'list_migrations',
                        {
                            'unknown': '--unknown' in given,
                            'instance': None,
                            'host': None,
                            'limit': limit,
                        },
                    ),
                )
                for given, limit in (
                    ((), 20),
                    (('--limit', '7'), 7),
                    (('--unknown', '--limit', '7'), 7),
                )
            ),
            (
                ('migrations', 'show', 'x'),
                ('show_migration', {'migration_id': 'x'}),
            ),
        ):
            with self.subTest(command):
                self.assertEqual(0, self.run_cli(*command).code)
                self.assertEqual(call, self.agent.calls.pop())

    def test_a_short_id_is_made_whole_before_it_is_cancelled(self):
        ran = self.run_cli('migrations', 'cancel', '5bdf', '--reason', 'why')
        self.assertEqual(0, ran.code)
        self.assertEqual(
            ('cancel_migration', {'migration_id': _ID, 'reason': 'why'}),
            self.agent.calls[-1],
        )

    def test_who_settles_a_migration_is_told_with_the_reason(self):
        ran = self.run_cli(
            *('migrations', 'settle', '5bdf', '--as', 'failed'),
            *('--reason', 'host-1 burnt down'),
        )
        self.assertEqual(0, ran.code)
        name, told = self.agent.calls[-1]
        self.assertEqual('settle_migration', name)
        self.assertEqual(
            (_ID, False), (told['migration_id'], told['completed'])
        )
        self.assertRegex(told['reason'], '^.+ at .+: host-1 burnt down$')

    def test_a_refusal_of_the_agent_is_one_line(self):
        self.agent.answers['show_migration'] = errors.NotFound(
            'there is no migration x'
        )
        ran = self.run_cli('migrations', 'show', 'x')
        self.assertEqual(
            (1, '', 'there is no migration x'),
            (ran.code, ran.out, ran.err.partition(': ')[2].strip()),
        )

    def test_the_fleet_is_written_as_a_document(self):
        answer = self.agent.answers['export_fleet']
        self.assertEqual(answer, self.run_cli('fleet', 'export').json)
        target = self.directory / 'fleet.json'
        self.run_cli('fleet', 'export', '--output', str(target))
        self.assertEqual(answer, base.json.loads(target.read_text()))


class DbTest(base.CommandCase):
    def test_the_schema_is_brought_up_and_shown(self):
        before = self.run_cli('db', 'version', '-f', 'json').json
        self.assertIsNone(before['version'])
        after = self.run_cli('db', 'upgrade', '-f', 'json').json
        self.assertEqual(before['newest'], after['version'])
        self.assertIn(before['newest'], self.run_cli('db', 'version').out)


class PluginsTest(base.CommandCase):
    def test_every_plugin_of_the_project_is_listed_with_what_it_does(self):
        rows = self.run_cli('plugins', '--kind', 'filters', '-f', 'json').json
        zone = next(row for row in rows if row['name'] == 'zone')
        self.assertTrue(zone['loads'])
        self.assertEqual('kvm-balancer', zone['package'])
        self.assertTrue(zone['text'])
