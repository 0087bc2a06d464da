"""The domain of a guest of the laboratory."""

import pathlib
import unittest
import xml.etree.ElementTree

import msgspec

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import guests

_QEMU = '{http://libvirt.org/schemas/domain/qemu/1.0}'
_LAB = description.describe(pathlib.Path('/srv/lab'), 'unit', 2)
_GUEST = description.Guest(
    'guest-1',
    '0b9a3f1c-6d5b-4a0e-9d0c-3f6a2f9d8a11',
    'host-1',
    48,
    bootsector.Load(0.1, 2.0, 12),
    10811,
)

#: Pages that one word of QEMU's bitmap of what was written tells of.
_KIB_A_WORD = 64 * 4


def _told(kind='qemu', **what):
    lab = msgspec.structs.replace(_LAB, virtualisation=kind)
    guest = msgspec.structs.replace(_GUEST, **what)
    # all of it is the laboratory's own
    domain = xml.etree.ElementTree.fromstring(guests.Guest(lab, guest).xml())
    return [one.get('value') for one in domain.iter(f'{_QEMU}arg')]


class CommandLineTest(unittest.TestCase):
    def test_qemu_is_told_nothing_unless_it_is_asked_for(self):
        self.assertEqual([], _told())

    def test_a_monitored_guest_has_two_monitors(self):
        told = _told(monitored=True)
        self.assertEqual(['-qmp', '-qmp'], told[::2])
        self.assertEqual(2, len(set(told[1::2])))

    def test_an_exact_guest_has_no_whole_number_of_words_of_pages(self):
        told = _told(exact=True, monitored=True)
        kib = int(told[told.index('-m') + 1].removesuffix('K'))
        self.assertNotEqual(0, kib % _KIB_A_WORD)
        self.assertTrue(0 < 48 * 1024 - kib < _KIB_A_WORD)
        self.assertIn(f'memory-backend-ram,id=exact,size={kib}K', told)
        self.assertIn('memory-backend=exact', told)

    def test_one_that_is_not_emulated_loses_nothing_anyhow(self):
        self.assertEqual([], _told('kvm', exact=True))
