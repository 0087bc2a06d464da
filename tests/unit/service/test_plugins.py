"""Plugins by name, with their options."""

import dataclasses
import importlib.metadata
import unittest
from unittest import mock

from oslo_config import cfg
import stevedore.extension

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.policies import assignment
from kvm_balancer.policies import base
from kvm_balancer.service import entry_points
from kvm_balancer.service import plugins


def configuration(**options):
    """A configuration with options set, as in group__name=value."""
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    for path, value in options.items():
        group, name = path.split('__')
        conf.set_override(name, value, group=group)
    return conf


@dataclasses.dataclass(frozen=True, slots=True)
class ForeignParams(base.Params):
    """Options as a plugin of others may have them."""

    depth: int = dataclasses.field(
        default=3, metadata={'help': 'How deep.', 'min': 1}
    )
    keen: bool = False


class Foreign(base.Policy):
    """A policy of others."""

    name = 'foreign'
    params_class = ForeignParams

    def trigger(self, fleet):
        raise NotImplementedError

    def search(self, work):
        raise NotImplementedError


def announced(**targets):
    """Pretend that the policies are *targets*, by name."""
    found = [
        importlib.metadata.EntryPoint(name, target, 'kvm_balancer.policies')
        for name, target in targets.items()
    ]
    return mock.patch.object(
        stevedore.extension.ExtensionManager,
        'list_entry_points',
        lambda self: found,
    )


class TestPlugins(unittest.TestCase):
    """What loads, and what is said of what does not."""

    def test_the_defaults_load(self):
        conf = configuration()
        context = plugins.make_context(conf)
        self.assertEqual(
            conf.planner.filters, [one.name for one in context.filters]
        )
        self.assertEqual(
            conf.planner.weighers,
            [one.weigher.name for one in context.weighers],
        )
        names = [
            p.name for p in plugins.load_policies(conf, conf.agent.policies)
        ]
        self.assertEqual(conf.agent.policies, names)

    def test_options_say_what_the_parameters_say(self):
        """Described options have the defaults of the dataclass."""
        conf = configuration()
        for one in plugins.load_policies(conf, ['relieve', 'spread']):
            self.assertEqual(one.params_class(), one.params)
        for one in plugins.make_context(conf).filters:
            self.assertEqual(one.params_class(), one.params)

    def test_options_reach_their_plugins(self):
        conf = configuration(
            spread__target=0.05,
            capacity_filter__cpu_limit=0.7,
            planner__weigher_multipliers={'cpu': 2.5},
            planner__max_gib=2.0,
        )
        (policy,) = plugins.load_policies(conf, ['spread'])
        self.assertEqual(0.05, policy.params.target)
        context = plugins.make_context(conf)
        limits = [
            one.params.cpu_limit
            for one in context.filters
            if one.name == 'capacity'
        ]
        self.assertEqual([0.7], limits)
        self.assertEqual(
            [2.5, 1.0, 1.0], [one.multiplier for one in context.weighers]
        )
        self.assertEqual(2048.0, context.limits.max_mib)

    def test_without_a_limit_of_its_own_a_policy_keeps_its_margin(self):
        (found,) = plugins.load_policies(
            configuration(), ['relieve'], limit=None
        )
        self.assertEqual(0.05, found.params.margin)

    def test_an_override_goes_to_those_who_have_it(self):
        first, second = plugins.load_policies(
            configuration(), ['relieve', 'spread'], limit=0.6, target=None
        )
        self.assertEqual((0.6, 0.0), (first.params.limit, first.params.margin))
        self.assertEqual(0.10, second.params.target)

    REFUSED = (
        (
            lambda: plugins.load_policies(configuration(), ['sprad']),
            "there is no policy 'sprad'; known are consolidate, drain, "
            'relieve, repair, spread; did you mean spread?',
        ),
        (
            lambda: plugins.load_assigned(
                configuration(),
                assignment.Assignment(('spread',), {'az2': ('sprad',)}),
            ),
            "[policies:zone:az2] run names 'sprad': there is no policy "
            "'sprad'; known are consolidate, drain, relieve, repair, spread; "
            'did you mean spread?',
        ),
        (
            lambda: plugins.load_assigned(
                configuration(),
                assignment.Assignment((), {}, {'gpu': ('x', 'drain')}),
            ),
            "[policies:aggregate:gpu] run names 'x': there is no policy 'x'; "
            'known are consolidate, drain, relieve, repair, spread',
        ),
        (
            lambda: plugins.load_assigned(
                configuration(), assignment.Assignment(('sprad',))
            ),
            "[agent] policies names 'sprad': there is no policy 'sprad'; "
            'known are consolidate, drain, relieve, repair, spread; did you '
            'mean spread?',
        ),
        (
            lambda: plugins.load_policies(
                configuration(), ['spread'], limit=0.5
            ),
            'there is no limit to be set: no policy of spread has one',
        ),
        (
            lambda: plugins.load_policies(configuration(), []),
            'no policy is named: nothing to do',
        ),
        (
            lambda: plugins.make_context(
                configuration(planner__weighers=['cpus'])
            ),
            "there is no weigher 'cpus'; known are bandwidth, cpu, memory; "
            'did you mean cpu?',
        ),
        (
            lambda: plugins.make_context(
                configuration(planner__weigher_multipliers={'gpu': 1.0})
            ),
            '[planner] weigher_multipliers names gpu, which is not among the '
            'weighers that are on: cpu, memory, bandwidth',
        ),
    )

    def test_what_is_wrong_is_named(self):
        for load, text in self.REFUSED:
            with self.subTest(text):
                with self.assertRaises(errors.ConfigurationError) as caught:
                    load()
                self.assertEqual(text, str(caught.exception))

    def test_a_policy_of_others_has_options_without_further_ado(self):
        conf = configuration()
        with announced(foreign=f'{__name__}:Foreign'):
            (policy,) = plugins.load_policies(conf, ['foreign'])
        self.assertEqual(ForeignParams(), policy.params)
        conf.set_override('depth', 5, group='foreign')
        with announced(foreign=f'{__name__}:Foreign'):
            (policy,) = plugins.load_policies(conf, ['foreign'])
        self.assertEqual(5, policy.params.depth)
        with self.assertRaises(ValueError):
            conf.set_override('depth', 0, group='foreign')

    def test_everybody_has_a_hold_time(self):
        conf = configuration()
        self.assertEqual(120.0, plugins.hold_seconds(conf, 'relieve'))
        self.assertEqual(300.0, plugins.hold_seconds(conf, 'foreign'))
        self.assertEqual(300.0, plugins.hold_seconds(conf, 'foreign'))

    def test_a_policy_that_does_not_load_is_left_out(self):
        with (
            announced(gone='nowhere:Gone', foreign=f'{__name__}:Foreign'),
            self.assertLogs(entry_points.LOG) as logs,
        ):
            found = plugins.load_policies(configuration(), ['gone', 'foreign'])
        self.assertEqual(['foreign'], [one.name for one in found])
        self.assertIn('policy gone does not load', logs.output[0])

    def test_one_policy_has_to_load(self):
        with (
            announced(gone='nowhere:Gone'),
            self.assertLogs(entry_points.LOG),
            self.assertRaisesRegex(errors.PluginError, 'does not load'),
        ):
            plugins.load_policies(configuration(), ['gone'])

    def test_what_is_no_policy_does_not_load(self):
        with (
            announced(odd='builtins:dict'),
            self.assertLogs(entry_points.LOG),
            self.assertRaisesRegex(errors.PluginError, 'is no .*Policy'),
        ):
            plugins.load_policies(configuration(), ['odd'])

    def test_a_filter_that_does_not_load_refuses_everything(self):
        with (
            announced(gone='nowhere:Gone'),
            self.assertLogs(entry_points.LOG),
        ):
            (closed,) = plugins.load_filters(
                configuration(planner__filters=['gone'])
            )
        self.assertEqual('gone', closed.name)
        with self.assertRaisesRegex(errors.PluginError, 'does not load'):
            closed.passes(None, None, None)


if __name__ == '__main__':
    unittest.main()
