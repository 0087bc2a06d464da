"""Convergence policies by name, with their options."""

import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import nova
from kvm_balancer.migration.convergence import vdsm
from kvm_balancer.service import plugins


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
            make = plugins.load_convergence(self.conf, name)
            one, other = make(), make()
            self.assertIs(kind, type(one))
            self.assertIsNot(one, other)
            self.assertEqual(kind.params_class(), one.params)

    def test_options_arrive(self):
        self.conf.set_override('steps', 5, 'nova_convergence')
        self.conf.set_override('schedule', 'suspend', 'vdsm_convergence')
        self.assertEqual(
            nova.Params(steps=5),
            plugins.load_convergence(self.conf, 'nova')().params,
        )
        self.assertEqual(
            vdsm.Params('suspend'),
            plugins.load_convergence(self.conf, 'vdsm')().params,
        )

    def test_a_name_that_nobody_knows_is_refused_with_those_known(self):
        with self.assertRaisesRegex(
            errors.PluginError, "'hopeful'; known are adaptive, nova, vdsm"
        ):
            plugins.load_convergence(self.conf, 'hopeful')
