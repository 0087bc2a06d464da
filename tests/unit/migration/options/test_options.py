import unittest

from oslo_config import cfg

from kvm_balancer.conf import migration
from kvm_balancer.migration import request


class TestOptions(unittest.TestCase):
    def test_the_defaults_are_those_of_a_request(self):
        conf = cfg.ConfigOpts()
        migration.register_opts(conf)
        conf([])
        self.assertEqual(request.Options(), migration.options(conf))

    def test_what_is_set_arrives(self):
        conf = cfg.ConfigOpts()
        migration.register_opts(conf)
        conf([])
        conf.set_override('profile', 'drain', migration.GROUP)
        conf.set_override('post_copy', True, migration.GROUP)
        found = migration.options(conf)
        self.assertEqual(request.Profile.DRAIN, found.profile)
        self.assertTrue(found.post_copy)
