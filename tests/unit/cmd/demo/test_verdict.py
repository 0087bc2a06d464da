import io
import unittest

import numpy as np

from kvm_balancer.cmd.demo import fleet
from kvm_balancer.cmd.demo import record
from kvm_balancer.cmd.demo import theatre
from kvm_balancer.cmd.demo import verdict
from kvm_balancer.cmd.demo import view

_GOALS = theatre.Goals(limit=0.8, start=0.15, target=0.1)
_CONTENT = [{'mood': 'content'}]


def _row(uid='m', instance='i', outcome='completed', **values):
    return {
        'id': uid,
        'instance': instance,
        'plan_id': 'p',
        'source': 'a',
        'destination': 'b',
        'state': outcome or 'pre-copy',
        'accepted_at': 101.0,
        'ended_at': 104.0 if outcome else None,
        'outcome': outcome,
        'transferred_mib': 2048.0,
        'downtime_ms': 40.0,
        'reason': 'so it is',
        **values,
    }


def _record(*loads, idle=True, moods=_CONTENT, rows=None):
    seen = record.Record(100.0, {'i': 'web-1'})
    seen.note_migrations([_row()] if rows is None else rows)
    for number, (one, other) in enumerate(loads):
        hosts = [
            {'name': 'b', 'cpu_load': other},
            {'name': 'a', 'cpu_load': one},
        ]
        seen.look(100.0 + number, hosts, list(moods), idle)
    return seen


class VerdictTest(unittest.TestCase):
    """What counts as success."""

    def problems(self, seen, executions=None):
        executions = {'i': ['b']} if executions is None else executions
        return verdict.judge(seen, _GOALS, executions, 1).problems

    def test_a_balanced_fleet_of_whole_instances_has_no_problems(self):
        seen = _record((0.9, 0.1), *[(0.5, 0.5)] * verdict.LOOKS)
        self.assertEqual((), self.problems(seen))

    def test_each_thing_that_is_wrong_is_a_problem(self):
        good = [(0.5, 0.5)] * verdict.LOOKS
        table = (
            ('seen too few times', _record(*good[1:]), None),
            ('uneven', _record(*[(0.7, 0.2)] * 9), None),
            ('hot', _record(*[(0.85, 0.85)] * 9), None),
            ('uneven again', _record(*good, (0.9, 0.1)), None),
            ('busy', _record(*good, idle=False), None),
            ('unsettled', _record(*good, moods=[{'mood': 'acting'}]), None),
            ('nothing moved', _record(*good, rows=[]), None),
            ('twice', _record(*good), {'i': ['a', 'b']}),
            ('nowhere', _record(*good), {'i': []}),
            ('lost', _record(*good), {}),
        )
        for name, seen, executions in table:
            with self.subTest(name):
                self.assertEqual(1, len(self.problems(seen, executions)))


class RecordTest(unittest.TestCase):
    """What is taken from the agent's answers."""

    def test_only_news_of_migrations_is_told(self):
        seen = _record(rows=[])
        running = _row(
            outcome=None,
            transferred_mib=None,
            statistics={'transferred_mib': 300.0, 'remaining_mib': 100.0},
        )
        (trip,) = seen.note_migrations([running])
        self.assertTrue(trip.under_way)
        self.assertEqual(0.75, trip.share)
        self.assertEqual([], seen.note_migrations([running]))
        (trip,) = seen.note_migrations([_row()])
        self.assertEqual([trip], seen.ended)
        self.assertEqual((1.0, 4.0), (trip.begun_at, trip.ended_at))

    def test_lines_tell_each_decision_and_each_end_once(self):
        seen = _record((0.9, 0.1), rows=[])
        seen.note_plan(
            {
                'id': 'p',
                'created_at': 100.5,
                'policy': 'relieve',
                'summary': 'all is well then',
                'moves': [
                    {
                        'instance': 'i',
                        'source': 'a',
                        'destination': 'b',
                        'reason': 'a is hot',
                    }
                ],
            }
        )
        changed = seen.note_migrations([_row()])
        self.assertEqual('a is hot', changed[0].why)
        stream = io.StringIO()
        with view.view(stream, _GOALS, live=True) as lines:
            for _ in range(2):
                lines.show(seen, changed)
        self.assertEqual(
            [
                '  0.5 s  relieve: 1 move; all is well then',
                '  0.5 s  web-1  a -> b: a is hot',
                '  4.0 s  web-1  a -> b: completed in 3.0 s, 2.0 GiB, '
                'downtime 40 ms',
                '  0.0 s  spread 0.400, hottest a at 90%, 0 migrations '
                'under way',
            ],
            stream.getvalue().splitlines(),
        )


class FleetTest(unittest.TestCase):
    def test_every_seed_makes_a_skewed_hundred_that_fits(self):
        for seed in range(20):
            made = fleet.make_fleet(seed)
            instances = made.instances
            self.assertEqual((12, 100), (len(made.hosts), len(instances)))
            self.assertEqual(3, int(np.sum(made.cpu_load > 0.8)))
            self.assertLess(made.cpu_load.mean(), 0.5)
            self.assertLess(made.memory_load.max(), 0.9)
            self.assertTrue((instances.cpu_usage <= instances.vcpus).all())
            self.assertEqual(100, len(set(instances.id)))

    def test_the_same_seed_makes_the_same_fleet(self):
        one, same, other = map(fleet.make_fleet, (4, 4, 5))
        self.assertEqual(one.instances.id, same.instances.id)
        self.assertNotEqual(one.instances.id, other.instances.id)
