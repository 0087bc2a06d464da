"""A guest that writes to its disk finds out what others do to it."""

import uuid

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab import waiting
from tests.lab import ground


class GuestDiskTest(ground.LabTestCase):
    letter = 'd'

    def setUp(self):
        super().setUp()
        prerequisites.check(services=False)
        wanted = description.describe(self.directory, self.name, hosts=1)
        lab = fleet.Lab(wanted)
        self.addCleanup(lab.down)
        lab.up()
        lab.calibrate()
        self.guest = lab.add_guest(
            description.Guest(
                name='guest-1',
                uuid=str(uuid.uuid4()),
                host=lab.hosts[0].name,
                memory_mib=32,
                load=bootsector.Load(0.05, 20.0, 2),
                storage_port=description.storage_port(1),
                writes_disk=True,
            )
        )

    def test_its_rounds_are_there_and_one_that_is_changed_is_found(self):
        self.guest.wait_for_rounds(2 * bootsector.SLOTS)
        before = self.guest.report()
        disk = self.guest.disk.read_bytes()
        after = self.guest.report()
        lost = bootsector.lost_rounds(disk, before.rounds, after.rounds)
        self.assertEqual([], lost)
        self.assertEqual((0, True), (after.damaged, after.in_order))

        # All slots, as the guest may write to one of them just now.
        with self.guest.disk.open('r+b') as file:
            for slot in range(bootsector.SLOTS):
                first = bootsector.FIRST_SLOT + slot
                file.seek(first * bootsector.SECTOR_BYTES + 300)
                file.write(b'\xff')
        waiting.until(
            lambda: self.guest.report().damaged > 0,
            'the guest to find its disk changed',
        )
