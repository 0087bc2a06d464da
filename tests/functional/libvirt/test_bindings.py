"""What each host has to have for itself, asked of real ones."""

import unittest
import uuid

import libvirt

from kvm_balancer.migration import events
from tests.contract import ground as grounds
from tests.functional.libvirt import guests
from tests.functional.libvirt import hosts

_SECRET = """
<secret ephemeral='no' private='no'>
  <uuid>{uid}</uuid>
  <usage type='iscsi'><target>{uid}</target></usage>
</secret>"""

_DISK = """
<disk type='network' device='disk'>
  <driver name='qemu' type='raw'/>
  <source protocol='iscsi' name='iqn.2026-01.org.example:{uid}/1'>
    <host name='192.0.2.1' port='3260'/>
    <auth username='test'><secret type='iscsi' {named}/></auth>
  </source>
  <target dev='vda' bus='virtio'/>
</disk>"""


class BindingsTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)
        self.here, self.there = (
            libvirt.open(one.uri)
            for one in (self.ground.here, self.ground.there)
        )
        self.addCleanup(self.here.close)
        self.addCleanup(self.there.close)

    def define(self, **changes):
        """Define, and do not start, a guest: its definition is looked at."""
        uid, xml = guests.definition(
            self.ground.lab.directory / 'calm.bin', **changes
        )
        self.addCleanup(self.here.defineXML(xml).undefine)
        return uid

    def check(self, uid, name):
        story = grounds.Story(self.ground.source, self.ground.wanted(uid))
        self.addCleanup(story.carrier.close)
        return story.check()[name]

    def test_secrets_have_to_be_on_the_destination(self):
        """Whether they are named by what they are or by what they are for."""
        for named in ("uuid='{}'", "usage='{}'"):
            with self.subTest(named=named):
                uid = str(uuid.uuid4())
                disk = _DISK.format(uid=uid, named=named.format(uid))
                instance = self.define(devices=disk)
                found = self.check(instance, 'secrets')
                self.assertEqual(events.Verdict.FAILED, found.verdict)
                self.assertIn(uid, found.reason)
                made = self.there.secretDefineXML(_SECRET.format(uid=uid))
                self.addCleanup(made.undefine)
                found = self.check(instance, 'secrets')
                self.assertEqual(events.Verdict.PASSED, found.verdict, found)

    def test_graphics_at_an_address_of_its_host_are_told(self):
        address = self.ground.here.address
        uid = self.ground.start(
            'calm',
            devices=f"""
            <graphics type='vnc' port='-1' autoport='yes'>
              <listen type='address' address='{address}'/>
            </graphics>""",
        )
        found = self.check(uid, 'graphics')
        self.assertEqual(events.Verdict.UNKNOWN, found.verdict)
        self.assertIn(address, found.reason)
        self.assertTrue(found.remedy)

    def test_cpus_and_nodes_of_its_host_have_to_be_on_the_destination(self):
        """The first of each is on every host; the last is on none."""
        nobody = 1000
        for terms, missing in (
            ("<cputune><vcpupin vcpu='0' cpuset='{}'/></cputune>", 'CPU'),
            ("<cputune><emulatorpin cpuset='{}'/></cputune>", 'CPU'),
            (
                "<numatune><memory mode='strict' nodeset='{}'/></numatune>",
                'NUMA node',
            ),
        ):
            with self.subTest(terms):
                found = self.check(
                    self.define(terms=terms.format(0)), 'pinning'
                )
                self.assertEqual(events.Verdict.PASSED, found.verdict, found)
                found = self.check(
                    self.define(terms=terms.format(nobody)), 'pinning'
                )
                self.assertEqual(events.Verdict.FAILED, found.verdict)
                self.assertIn(f'{missing} {nobody}', found.reason)
                self.assertTrue(found.remedy)
