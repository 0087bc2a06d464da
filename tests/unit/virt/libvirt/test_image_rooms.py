"""Room for images is told by directory, with who fills it just now."""

import tempfile
import unittest
from unittest import mock

import libvirt

from kvm_balancer.migration import image_room
from kvm_balancer.virt.libvirt import image_rooms
from kvm_balancer.virt.libvirt import pools

_MIB = 2**20
_ARRIVING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)
_RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED)
_DOMAIN = """
<domain><name>{uuid}</name><uuid>{uuid}</uuid><memory>1</memory>
<vcpu>1</vcpu><devices><disk type='file'><source file='{path}'/>
<target dev='vda'/></disk></devices></domain>"""


class _Handle:
    """A host with domains, each with a disk."""

    def __init__(self, *domains):
        self._domains = domains

    def getAllDomainStats(self, statistics, flags):
        return [
            (
                mock.Mock(
                    XMLDesc=lambda _, uuid=uuid, path=path: _DOMAIN.format(
                        uuid=uuid, path=path
                    )
                ),
                {'state.state': state[0], 'state.reason': state[1]},
            )
            for uuid, path, state in self._domains
        ]


class ImageRoomsTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.place = made.name
        pool = mock.Mock(info=lambda: [0, 0, 0, 9 * _MIB])
        image = mock.Mock(info=lambda: [0, 8 * _MIB, 2 * _MIB])
        self.patch('pool', lambda _, place: None if place == '/none' else pool)
        self.patch('volume', lambda found, path: image)

    def patch(self, name, value):
        patched = mock.patch.object(pools, name, value)
        patched.start()
        self.addCleanup(patched.stop)

    def test_only_who_arrives_fills_it(self):
        handle = _Handle(
            ('comes', f'{self.place}/a.raw', _ARRIVING),
            ('runs', f'{self.place}/b.raw', _RUNNING),
            ('elsewhere', '/other/c.raw', _ARRIVING),
        )
        found = image_rooms.read(handle, [self.place, '/none'], local=False)
        self.assertEqual(
            {
                self.place: image_room.Directory(
                    self.place, 9.0, {'comes': image_room.Growth(2.0, 6.0)}
                )
            },
            found,
        )

    def test_directories_of_one_file_system_are_one_volume(self):
        """As far as they can be seen."""
        with tempfile.TemporaryDirectory(dir=self.place) as inner:
            places = [self.place, inner, '/not/here']
            found = image_rooms.read(_Handle(), places, local=True)
        volumes = [found[one].volume for one in places]
        self.assertEqual(volumes[0], volumes[1])
        self.assertEqual('/not/here', volumes[2])
