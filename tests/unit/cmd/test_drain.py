"""Drains at the command line: waiting, reporting, rolling on."""

import contextlib
import pathlib
import tempfile
import unittest

from kvm_balancer import errors
from kvm_balancer.cmd import drain
from kvm_balancer.cmd import rolling


def row(state, *left, moved=0, doubt='', resting=()):
    return {
        'host': 'h',
        'state': state,
        'moved': moved,
        'doubt': doubt,
        'resting': [
            {'instance': f'id-{name}', 'name': name, 'reason': 'it is SHUTOFF'}
            for name in resting
        ],
        'left': [
            {'instance': f'id-{name}', 'name': name, 'reason': reason}
            for name, reason in left
        ],
    }


class Agent:
    """An agent that tells one row after the other, the last one for ever."""

    def __init__(self, *rows, nova='', note=''):
        self.rows = list(rows)
        self.nova = nova
        self.note = note
        self.log = []

    def drained(self, host):
        found = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
        if isinstance(found, Exception):
            raise found
        return found

    def drain(self, host, reason):
        self.log.append(f'drain {host}')

    def undrain(self, host):
        self.log.append(f'undrain {host}')
        return {'note': self.note}

    def hosts(self):
        return [
            {
                'name': name,
                'silent': False,
                'sample_age_seconds': -1.0,
                'nova': self.nova,
            }
            for name in ('a', 'b', 'c')
        ]


class WaitTest(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.shown = []

    def pause(self, seconds):
        self.now += seconds

    def wait(self, agent, timeout=0.0):
        return drain.wait(
            agent,
            'h',
            timeout,
            lambda total, told: self.shown.append((total, told['moved'])),
            clock=lambda: self.now,
            pause=self.pause,
        )

    def test_it_waits_until_the_host_is_empty(self):
        agent = Agent(
            row('draining', ('a', ''), ('b', '')),
            row('draining', ('b', ''), moved=1),
            row('drained', moved=2),
        )
        self.assertEqual('drained', self.wait(agent)['state'])
        self.assertEqual([(2, 0), (2, 1), (2, 2)], self.shown[:3])

    def test_what_is_stuck_for_a_moment_is_waited_for(self):
        """Between two plans, nothing seems to move."""
        agent = Agent(
            row('stuck', ('a', 'no room')),
            row('draining', ('a', '')),
            row('drained', moved=1),
        )
        self.assertEqual('drained', self.wait(agent)['state'])

    def test_what_stays_stuck_ends_it_with_the_reasons(self):
        found = self.wait(Agent(row('stuck', ('a', 'it is locked'))))
        self.assertEqual(['  a (id-a): it is locked'], drain.leftovers(found))

    def test_an_agent_that_is_started_anew_is_waited_for(self):
        away = errors.BusError('the agent does not answer')
        agent = Agent(row('draining', ('a', '')), *[away] * 9, row('drained'))
        self.assertEqual('drained', self.wait(agent)['state'])

    def test_an_agent_that_stays_away_ends_it(self):
        with self.assertRaises(errors.BusError):
            self.wait(Agent(errors.BusError('the agent does not answer')))
        self.assertLess(self.now, 2 * drain.PATIENCE_SECONDS)

    def test_a_limit_ends_the_waiting_and_not_the_drain(self):
        found = self.wait(Agent(row('draining', ('a', ''))), timeout=30.0)
        self.assertEqual('draining', found['state'])
        self.assertEqual(30.0, self.now)


class RollingTest(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.log = pathlib.Path(made.name) / 'log'
        self.hook = pathlib.Path(made.name) / 'hook'
        self.lines = []

    def round(self, agent, script='exit 0', back_seconds=5.0):
        self.hook.write_text(f'#!/bin/sh\necho $1 >> {self.log}\n{script}\n')
        self.hook.chmod(0o755)
        made = rolling.Round(
            lambda: contextlib.nullcontext(agent),
            str(self.hook),
            back_seconds,
            self.lines.append,
            pause=lambda seconds: None,
        )
        before, drain.SETTLE_SECONDS = drain.SETTLE_SECONDS, 0.0
        self.addCleanup(setattr, drain, 'SETTLE_SECONDS', before)
        return made

    def test_each_host_is_drained_done_and_taken_back(self):
        agent = Agent(row('drained'))
        going = self.round(agent)
        going.run(['a', 'b'], at_once=1)
        self.assertEqual(
            ['drain a', 'undrain a', 'drain b', 'undrain b'], agent.log
        )
        self.assertEqual('a\nb\n', self.log.read_text())
        self.assertEqual((['a', 'b'], {}), (going.done, going.failed))

    def test_a_hook_that_fails_stops_the_round(self):
        agent = Agent(row('drained'))
        going = self.round(agent, 'exit 3')
        going.run(['a', 'b', 'c'], at_once=1)
        self.assertEqual(['drain a'], agent.log)
        self.assertIn('ended with 3', going.failed['a'])

    def test_a_host_that_does_not_get_empty_gets_no_hook(self):
        agent = Agent(row('stuck', ('web', 'it is locked')))
        going = self.round(agent)
        going.run(['a', 'b'], at_once=1)
        self.assertIn('it is locked', going.failed['a'])
        self.assertFalse(self.log.exists())
        self.assertEqual(['drain a'], agent.log)

    def test_a_lost_answer_to_taking_back_is_no_failure(self):
        agent = Agent(row('drained'))
        answers = [
            errors.BusError('no answer'),
            errors.NotFound('not drained'),
        ]

        def undrain(host):
            raise answers.pop(0)

        agent.undrain = undrain
        going = self.round(agent)
        going.run(['a'], at_once=1)
        self.assertEqual((['a'], {}), (going.done, going.failed))

    def test_silence_of_a_host_is_no_emptiness(self):
        agent = Agent(row('stuck', doubt='a has gone silent'))
        going = self.round(agent)
        going.run(['a'], at_once=1)
        self.assertIn('a has gone silent', going.failed['a'])
        self.assertFalse(self.log.exists())

    def test_a_compute_that_is_down_in_nova_is_not_back(self):
        agent = Agent(row('drained'), nova='down')
        going = self.round(agent, back_seconds=0.05)
        going.run(['a', 'b'], at_once=1)
        self.assertIn('nova-compute is not up', going.failed['a'])
        self.assertEqual(['drain a'], agent.log)

    def test_what_stays_and_what_others_disabled_is_told(self):
        agent = Agent(row('drained', resting=['off']), note='others did')
        self.round(agent).run(['a'], at_once=1)
        told = '\n'.join(self.lines)
        self.assertIn('empty, but 1 that do not run', told)
        self.assertIn('a: others did', told)
