"""A disk over an image that both hosts have: only what differs is copied."""

import json
import pathlib
import unittest
import uuid

from kvm_balancer.lab import storage
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

_BASE_MIB = 32
_WRITTEN_MIB = 2


class IncrementalTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)
        self.ground.make_pools()

    def base(self):
        """Make an image that both hosts have in a pool of theirs."""
        place = self.ground.lab.directory / f'bases-{uuid.uuid4()}'
        place.mkdir()
        path = place / 'base.raw'
        path.write_bytes(b'B' * (_BASE_MIB * 2**20))
        self.ground.make_pools(place.name, place)
        return path

    def overlay(self, base):
        """Make an image over it that has something of its own."""
        path = f'{storage.IMAGES}/{uuid.uuid4()}.qcow2'
        here = self.ground.here
        over = ['-f', 'qcow2', '-b', str(base), '-F', 'raw']
        here.run(['qemu-img', 'create', '-q', *over, path])
        written = f'write -q -P 171 0 {_WRITTEN_MIB}M'
        here.run(['qemu-io', '-f', 'qcow2', '-c', written, path])
        return path

    def start(self, path):
        return self.ground.start(
            'calm',
            devices=f"""
            <disk type='file' device='disk'>
              <driver name='qemu' type='qcow2'/>
              <source file='{path}'/><target dev='vda' bus='virtio'/>
            </disk>""",
        )

    def test_what_the_base_has_stays_where_it_is(self):
        base = self.base()
        path = self.overlay(base)
        uid = self.start(path)
        story = grounds.Story(
            self.ground.source, self.ground.wanted(uid, copy_storage=True)
        )
        self.addCleanup(story.carrier.close)
        story.check()
        self.assertEqual([], story.failures())
        story.perform(instructions.Start())
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertEqual(
            (events.EndState.ABSENT, events.EndState.RUNNING), story.ends()
        )
        settled = story.one(events.JobSettled).statistics
        self.assertEqual(_WRITTEN_MIB, settled.disk_total_mib)
        self.check(path, base)

    def check(self, path, base):
        """See what has arrived: its format, its base, and its content."""
        there = self.ground.there
        tell = ['qemu-img', 'info', '-U', '--output=json', path]
        image = json.loads(there.run(tell))
        self.assertEqual(str(base), image['backing-filename'])
        # Of that version it may have bitmaps, and holes over its base.
        self.assertEqual('1.1', image['format-specific']['data']['compat'])
        size = pathlib.Path(base).stat().st_size
        for pattern, start, length in (
            (171, 0, _WRITTEN_MIB * 2**20),
            (ord('B'), _WRITTEN_MIB * 2**20, size - _WRITTEN_MIB * 2**20),
        ):
            read = f'read -P {pattern} {start} {length}'
            told = there.run(
                ['qemu-io', '-U', '-r', '-f', 'qcow2', '-c', read, path]
            )
            self.assertNotIn('failed', told)
