"""A block device that both hosts have, and the paths that lead to it.

The device is a loop device of the machine, which its hosts share; where they
find it by a name that says which it is, is a folder of each host's own.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest
import uuid

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

_BYTES = 2**20
_NAMES = pathlib.Path('/dev/disk')


class BlockDevicesTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.device = self.attach()
        self.addCleanup(self.ground.close)

    def attach(self):
        """Make a block device of the machine, and return its path."""
        with tempfile.NamedTemporaryFile(delete=False) as content:
            content.truncate(_BYTES)
        self.addCleanup(os.unlink, content.name)
        loop = subprocess.run(
            ['losetup', '--find', '--show', content.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        self.addCleanup(
            subprocess.run, ['losetup', '--detach', loop], check=True
        )
        return loop

    def name(self):
        """Give the device the same name on both hosts, as SCSI has it."""
        name = _NAMES / f'by-id/wwn-0x{uuid.uuid4().hex}'
        _NAMES.mkdir(exist_ok=True)
        for host in (self.ground.here, self.ground.there):
            host.run(['mount', '-t', 'tmpfs', 'names', str(_NAMES)])
            self.addCleanup(host.run, ['umount', '--lazy', str(_NAMES)])
            host.run(['mkdir', str(name.parent)])
            host.run(['ln', '-s', self.device, str(name)])
        return str(name)

    def start(self, path):
        return self.ground.start(
            'calm',
            devices=f"""
            <disk type='block' device='disk'>
              <driver name='qemu' type='raw' cache='none'/>
              <source dev='{path}'/><target dev='vda' bus='virtio'/>
            </disk>""",
        )

    def story(self, uid, **options):
        story = grounds.Story(
            self.ground.source, self.ground.wanted(uid, **options)
        )
        self.addCleanup(story.carrier.close)
        return story

    def test_an_instance_takes_along_what_its_name_says_is_the_same(self):
        story = self.story(self.start(self.name()))
        found = story.check()['block devices']
        self.assertEqual(events.Verdict.PASSED, found.verdict, found)
        story.perform(instructions.Start())
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertEqual(
            (events.EndState.ABSENT, events.EndState.RUNNING), story.ends()
        )

    def test_of_a_path_alone_it_is_not_known(self):
        """As of a volume group of the same name; unless it is trusted."""
        uid = self.start(self.device)
        (failure,) = self.story(uid).failures()
        self.assertEqual('block devices', failure.name)
        self.assertIn(self.device, failure.reason)
        self.assertIn('trust_disk_paths', failure.remedy)
        story = self.story(uid, trust_disk_paths=True)
        found = story.check()['block devices']
        self.assertEqual(events.Verdict.UNKNOWN, found.verdict)
        self.assertIn('taken for the same', found.reason)
        story.perform(instructions.Start())
        self.assertEqual('', story.until(events.CallReturned).error)
