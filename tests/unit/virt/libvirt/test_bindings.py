"""What each host has to have for itself is read off a definition."""

import unittest

from kvm_balancer.virt.libvirt import bindings
from kvm_balancer.virt.libvirt import documents


def _facts(devices):
    return documents.read_domain(
        f'<domain><devices>{devices}</devices></domain>'
    )


class BindingsTest(unittest.TestCase):
    def test_secrets_of_disks_and_of_the_tpm(self):
        facts = _facts("""
            <disk><auth><secret type='ceph' uuid='a'/></auth></disk>
            <disk><source><auth><secret type='ceph' usage='u'/></auth>
              <encryption><secret type='passphrase' uuid='b'/></encryption>
            </source></disk>
            <tpm><backend><encryption secret='c'/></backend></tpm>
            <tpm><backend/></tpm>""")
        self.assertEqual(
            ['a', 'ceph u', 'b', 'c'], [str(one) for one in facts.secrets]
        )
        self.assertEqual((), _facts('').secrets)
        self.assertEqual(bindings.Secret('c'), facts.secrets[-1])

    def test_addresses_that_are_of_the_host_alone(self):
        table = (
            ('address', '192.0.2.1', True),
            ('address', '2001:db8::1', True),
            ('address', 'host-1', True),
            ('address', '0.0.0.0', False),
            ('address', '127.0.0.1', False),
            ('address', '::', False),
            ('address', '::1', False),
            ('address', 'localhost', False),
            ('network', '192.0.2.1', False),
            ('socket', '', False),
        )
        for kind, stated, own in table:
            with self.subTest(kind=kind, stated=stated):
                facts = _facts(
                    f"<graphics><listen type='{kind}' address='{stated}'/>"
                    '</graphics>'
                )
                self.assertEqual((stated,) if own else (), facts.listens)
