"""Convergence policies by name, with their options."""

import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import manner
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.planner import cost
from kvm_balancer.planner import terms
from kvm_balancer.service import convergence
from tests.fixtures import fleets


class LoadConvergenceTest(unittest.TestCase):
    def setUp(self):
        self.conf = cfg.ConfigOpts()
        opts.register_opts(self.conf)
        self.conf([])

    def test_each_is_known_by_name_and_made_anew(self):
        for name, kind in (
            ('adaptive', adaptive.Adaptive),
            ('nova', nova.Nova),
            ('vdsm', vdsm.Vdsm),
        ):
            make = convergence.load(self.conf, name)
            one, other = make(), make()
            self.assertIs(kind, type(one))
            self.assertIsNot(one, other)
            self.assertEqual(kind.params_class(), one.params)

    def test_options_arrive(self):
        self.conf.set_override('steps', 5, 'nova_convergence')
        self.conf.set_override('schedule', 'suspend', 'vdsm_convergence')
        self.assertEqual(
            nova.Params(steps=5),
            convergence.load(self.conf, 'nova')().params,
        )
        self.assertEqual(
            vdsm.Params('suspend'),
            convergence.load(self.conf, 'vdsm')().params,
        )

    def test_plans_are_told_of_the_one_that_is_configured(self):
        self.assertEqual(
            manner.ADAPTIVE, convergence.read_migration(self.conf).manner
        )
        self.conf.set_override('convergence', 'nova', 'migration')
        self.conf.set_override('auto_converge', False, 'migration')
        self.conf.set_override('timeout_seconds', 20.0, 'nova_convergence')
        rules = convergence.read_migration(self.conf)
        busy = fleets.instance('i', 'a', dirty_rate_mib_s=50_000.0)
        fleet = fleets.build([fleets.host('a'), fleets.host('b')], [busy])
        (found,) = cost.predict(
            fleet, [0], [0], [1], terms.Terms(fleet, rules)
        )
        self.assertFalse(found.converges)
        gib = fleet.instances.memory_usage_mib[0] / 1024.0
        self.assertAlmostEqual(
            20.0 * gib + prediction.FINISH_SECONDS, found.seconds
        )

    def test_a_name_that_nobody_knows_is_refused_with_those_known(self):
        with self.assertRaisesRegex(
            errors.PluginError, "'hopeful'; known are adaptive, nova, vdsm"
        ):
            convergence.load(self.conf, 'hopeful')
