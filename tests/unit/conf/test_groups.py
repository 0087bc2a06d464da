"""A configuration has its options to itself."""

import unittest

from oslo_config import cfg

from kvm_balancer.conf import opts


def configuration():
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], project='kvm_balancer', default_config_files=[])
    return conf


class GroupsTest(unittest.TestCase):
    def test_what_one_overrides_no_other_sees(self):
        one, other = configuration(), configuration()
        for group in opts.groups():
            with self.subTest(group):
                name = next(iter(one[group]))
                # What the other was asked for once, it knows by heart.
                before = one[group][name]
                one.set_override(name, None, group)
                self.assertIsNone(one[group][name])
                self.assertEqual(before, other[group][name])
