"""The agent plans by all that a plan can be asked for, and explains it."""

import pathlib
import tempfile
import types
import unittest

import numpy as np
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.messages import migration as messages
from kvm_balancer.model import outcome
from kvm_balancer.policies import decision
from kvm_balancer.service import agent_api
from kvm_balancer.service import plugins
from tests.fixtures import fleets


class Fleet:
    """A fleet that does not change, of which nothing else is known."""

    def __init__(self, fleet):
        self._fleet = fleet

    def snapshot(self):
        return self._fleet

    def custodies(self, ids):
        return [None for _ in ids]


class AgentApiTest(unittest.TestCase):
    def setUp(self):
        self.conf = conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[])
        # however busy the machine is
        conf.set_override('budget_seconds', 0.0, 'planner')
        self.fleet = fleets.skewed(20, 200)
        self.agent = agent = types.SimpleNamespace(
            fleet=Fleet(self.fleet),
            decider=decision.Decider([], plugins.make_context(conf)),
            surroundings=lambda fleet: decision.Surroundings(
                np.zeros(len(fleet.instances), np.bool_),
                np.zeros(len(fleet.hosts), np.bool_),
                (),
            ),
        )
        store = types.SimpleNamespace(
            plans=None,
            migrations=types.SimpleNamespace(latest=lambda *_: []),
        )
        self.api = agent_api.AgentApi(conf, agent, store)

    def test_migrations_of_nobody_are_told_from_none(self):
        host = self.fleet.hosts.name[0]
        self.assertEqual([], self.api.list_migrations(host=host))
        for asked, refused in (
            ({'host': 'nosuch'}, 'there is no host nosuch; see '),
            ({'instance': 'nosuch'}, 'there is no instance nosuch; see '),
        ):
            with self.assertRaisesRegex(errors.NotFound, refused):
                self.api.list_migrations(unknown=True, **asked)

    def known(self, kind):
        record = types.SimpleNamespace(
            id='m',
            outcome=kind,
            instance='i',
            source='a',
            destination='b',
            accepted_at=1.0,
            plan_id=None,
            owner='balancer',
        )
        self.api._store.migrations.get = lambda _id: record
        self.asked = []
        self.agent.dispatcher = types.SimpleNamespace(
            commands=types.SimpleNamespace(
                cancel=lambda *told: self.asked.append(told) or 'unknown',
                settle=lambda *told: self.asked.append(told) or 'failed',
            )
        )

    def test_what_is_unknown_can_be_cancelled_and_settled(self):
        self.known(outcome.OutcomeKind.UNKNOWN)
        self.assertEqual(
            {'id': 'm', 'asked': True, 'state': 'unknown'},
            self.api.cancel_migration('m', 'why'),
        )
        self.assertEqual(
            {'id': 'm', 'state': 'failed'},
            self.api.settle_migration('m', False, 'ann: she saw it'),
        )
        wanted, wish = self.asked[-1]
        self.assertEqual(('a', 'b'), (wanted.source, wanted.destination))
        self.assertEqual(messages.Settle('m', False, 'ann: she saw it'), wish)

    def test_only_what_is_unknown_is_settled(self):
        for kind, said in (
            (None, 'is under way'),
            (outcome.OutcomeKind.FAILED, 'is failed'),
        ):
            self.known(kind)
            with self.assertRaisesRegex(errors.MigrationError, said):
                self.api.settle_migration('m', True, 'why')
            self.assertEqual([], self.asked)

    def test_what_ended_just_so_is_settled_once_more(self):
        """Its host may not have answered when its mark was to be taken."""
        self.known(outcome.OutcomeKind.FAILED)
        self.api.settle_migration('m', False, 'why')
        self.assertEqual(1, len(self.asked))

    def test_what_is_asked_for_reaches_the_plan(self):
        spread = {'policies': ['spread'], 'target': 0.1}
        most = self.api.make_plan(**spread)
        self.assertEqual('spread', most['policy'])
        self.assertLessEqual(most['after']['cpu_stddev'], 0.1)
        little = self.api.make_plan(**spread, prefer='gib')
        self.assertLess(
            little['frontier'][-1]['mib'], most['frontier'][-1]['mib']
        )
        few = self.api.make_plan(**spread, max_moves=2)
        self.assertEqual(2, len(few['moves']))
        light = self.api.make_plan(**spread, max_gib=5)
        carried = sum(move['predicted_mib'] for move in light['moves'])
        self.assertLess(carried, 2 * 5 * 1024)
        none = self.api.make_plan(**spread, eagerness=1)
        self.assertEqual([], none['moves'])

    def test_without_policies_those_that_are_configured_plan(self):
        made = self.api.make_plan()
        self.assertEqual('relieve,spread', made['policy'])

    def test_a_policy_of_little_credit_has_to_see_more_gain_here_too(self):
        plain = self.api.make_plan(policies=['spread'])
        credits = self.agent.decider.credits
        credits.strictness = lambda place, policy: 1e6
        strict = self.api.make_plan(policies=['spread'])
        self.assertLess(len(strict['moves']), len(plain['moves']))

    def test_places_that_no_host_is_in_are_told_with_a_plan(self):
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        path /= 'agent.conf'
        path.write_text(
            '[windows:zone:azz]\nfreeze = Mon-Sun\n'
            '[policies:aggregate:sdd]\nrun = relieve\n'
            '[migration:zone:azy]\nmax_downtime_ms = 9\n'
        )
        self.conf([], default_config_files=[str(path)])
        told = self.api.make_plan()['warnings']
        for group in (
            '[windows:zone:azz]',
            '[policies:aggregate:sdd]',
            '[migration:zone:azy]',
        ):
            self.assertTrue(
                [one for one in told if f'{group} says holds nowhere' in one],
                told,
            )

    def test_what_it_does_not_know_is_refused_in_a_line(self):
        for asked, reason in (
            ({'colour': 'red'}, 'knows no colour of plans'),
            ({'prefer': 'nothing'}, 'prefer is'),
            ({'eagerness': 9}, 'eagerness is 9'),
            ({'max_gib': float('nan')}, 'max_gib is nan'),
            ({'max_moves': -1}, 'max_moves is -1'),
            ({'policies': ['sprad']}, 'there is no policy'),
        ):
            with (
                self.subTest(asked),
                self.assertRaisesRegex(errors.KVMBalancerError, reason),
            ):
                self.api.make_plan(**asked)

    def test_a_plan_that_is_kept_is_not_asked_for_more(self):
        with self.assertRaisesRegex(
            errors.ConfigurationError, 'as it was made: leave policies, targ'
        ):
            self.api.explain(
                self.fleet.hosts.name[0], 'x', policies=['spread'], target=0.1
            )

    def test_a_host_and_an_instance_are_explained(self):
        made = self.api.make_plan(policies=['spread'])
        move = made['moves'][0]
        for subject in (move['source'], move['instance']):
            found = self.api.explain(subject, policies=['spread'])
            self.assertIn(
                move['instance'], [one['instance'] for one in found['moves']]
            )


if __name__ == '__main__':
    unittest.main()
