"""Addresses that no libvirt could answer are told from those of one."""

import unittest

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import address

GOOD = (
    'qemu:///system',
    'qemu:///session',
    'qemu+tls://host-1/system',
    'qemu+tcp://192.0.2.1:16509/system',
    'qemu+ssh://root@host-1/system?keyfile=/root/.ssh/id',
    'qemu+tcp://[2001:db8::1]/system',
    'qemu+unix:///system?socket=/run/lab/libvirt-sock',
    'qemu:///embed?root=/tmp/x',
    'test:///default',
)

WRONG = (
    ('', 'does not begin with a driver'),
    ('nonsense', 'does not begin with a driver'),
    ('host-1:16509', 'its driver is'),
    ('nosuch:///system', "its driver is 'nosuch'"),
    ('qemu+carrier://host-1/system', "no transport 'carrier'"),
    ('qemu://host-1', "its path is ''"),
    ('qemu:///nosuch', "its path is '/nosuch'"),
    ('qemu+tcp://host-1:sixteen/system', 'sixteen'),
    ('qemu+tcp://[::1/system', 'Invalid IPv6 URL'),
)


class AddressTest(unittest.TestCase):
    def test_memory_is_sent_to_a_name_or_an_address(self):
        option = '--migration-address'
        for stated in ('', '192.0.2.1', '2001:db8::1', 'fe80::1%eth0', 'a'):
            with self.subTest(stated):
                address.check_stream(option, stated)
        for stated in (
            'tcp://192.0.2.1',
            '192.0.2.1:49152',
            '[2001:db8::1]',
            'host 1',
            'host-1/x',
            ' ',
            '-host',
        ):
            with (
                self.subTest(stated),
                self.assertRaisesRegex(
                    errors.ConfigurationError, rf'^{option}: '
                ) as refused,
            ):
                address.check_stream(option, stated)
            self.assertIn(repr(stated), str(refused.exception))

    def test_what_libvirt_can_open_is_let_through(self):
        for uri in GOOD:
            with self.subTest(uri):
                address.check('[libvirt] uri', uri)

    def test_what_no_libvirt_answers_is_refused(self):
        """The line says where it stands, what it is, and what it should be."""
        for uri, why in WRONG:
            with self.subTest(uri):
                with self.assertRaisesRegex(
                    errors.ConfigurationError, r'^\[libvirt\] uri: '
                ) as refused:
                    address.check('[libvirt] uri', uri)
                self.assertIn(why, str(refused.exception))
                self.assertIn('qemu:///system', str(refused.exception))
