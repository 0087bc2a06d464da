"""Since when the copy of disks has got nowhere."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import disk_gain


class IdleTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.gain = disk_gain.DiskGain()
        self.now = 100.0

    def look(self, left_mib, seconds):
        """See so much left, every ten seconds, for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += 10.0
            seen = events.Statistics(
                disk_total_mib=1000.0, disk_remaining_mib=left_mib
            )
            self.gain.take(seen, self.now)
        return self.gain.idle_seconds

    def test_it_lasts_from_when_what_is_left_has_not_fallen(self):
        self.look(500.0, disk_gain.SETTING_OUT_SECONDS)
        self.look(400.0, 10.0)
        self.assertEqual(300.0, self.look(400.0, 300.0))
        self.assertEqual(0.0, self.look(300.0, 10.0))

    def test_disks_that_are_across_are_not_waited_for(self):
        self.look(500.0, disk_gain.SETTING_OUT_SECONDS)
        self.assertEqual(0.0, self.look(0.0, 3600.0))

    def test_what_is_written_after_that_has_its_own_time(self):
        self.look(500.0, disk_gain.SETTING_OUT_SECONDS)
        self.look(0.0, 3600.0)
        self.assertEqual(0.0, self.look(50.0, 30.0))
