"""What libvirt is told of an image that is made."""

import unittest
from unittest import mock
from xml.etree import ElementTree

from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import pools


class CreateTest(unittest.TestCase):
    def create(self, kind, backing=None):
        pool = mock.Mock(spec_set=('createXML',))
        pools.create(pool, '/var/img/a&b', kind, 100, backing)
        ((xml, _), _) = pool.createXML.call_args
        return ElementTree.fromstring(xml)

    def test_an_image_is_of_its_format_and_name(self):
        made = self.create('raw')
        self.assertEqual('a&b', made.findtext('name'))
        self.assertEqual('100', made.findtext('capacity'))
        self.assertEqual('0', made.findtext('allocation'))
        self.assertEqual('raw', made.find('target/format').get('type'))
        self.assertIsNone(made.find('target/compat'))
        self.assertIsNone(made.find('backingStore'))

    def test_one_that_can_have_bitmaps_and_holes_may(self):
        made = self.create('qcow2')
        self.assertEqual('1.1', made.findtext('target/compat'))

    def test_what_is_below_it_is_of_its_own_format(self):
        made = self.create('qcow2', documents.Backing('file', '/b', 'raw'))
        self.assertEqual('/b', made.findtext('backingStore/path'))
        self.assertEqual('raw', made.find('backingStore/format').get('type'))
