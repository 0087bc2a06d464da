"""What the configuration says of a host, as its samples carry it."""

import unittest

from oslo_config import cfg

from kvm_balancer.conf import opts
from kvm_balancer.service import hypervisor


class HostFactsTest(unittest.TestCase):
    def test_only_libvirt_is_reached_at_an_address_of_libvirt(self):
        table = [
            ('libvirt', '', 'qemu+tls://h1/system'),
            ('libvirt', 'qemu+ssh://h1/system', 'qemu+ssh://h1/system'),
            ('simulated', '', ''),
        ]
        for driver, peer_uri, wanted in table:
            with self.subTest(driver=driver, peer_uri=peer_uri):
                conf = cfg.ConfigOpts()
                opts.register_opts(conf)
                conf([], default_config_files=[])
                conf.set_override('name', 'h1', 'host')
                conf.set_override('driver', driver, 'executor')
                conf.set_override('peer_uri', peer_uri, 'libvirt')
                facts = hypervisor.host_facts(conf)
                self.assertEqual(wanted, facts.peer_uri)
