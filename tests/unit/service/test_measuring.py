"""An instance is measured once, for as long as somebody waits."""

import unittest

from kvm_balancer import errors
from kvm_balancer.service import measuring
from kvm_balancer.virt.simulated import driver
from kvm_balancer.virt.simulated import stage as stages
from tests.unit.virt.simulated import builders


class WindowsTest(unittest.TestCase):
    def test_they_take_all_of_the_time_and_each_is_longer_than_the_last(self):
        for seconds in range(1, measuring.LONGEST_SECONDS + 1):
            found = measuring.windows(seconds)
            self.assertEqual(seconds, sum(found))
            self.assertEqual(sorted(set(found)), list(found))
            self.assertGreaterEqual(found[0], 1)

    def test_where_there_is_time_they_show_a_hot_set(self):
        self.assertEqual((2,), measuring.windows(2))
        self.assertEqual((1, 2), measuring.windows(3))
        self.assertEqual((1, 2, 4), measuring.windows(7))
        self.assertEqual((1, 2, 4, 8), measuring.windows(15))
        self.assertEqual((1, 2, 4, 8, 16), measuring.windows(31))


class MeasureTest(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        world = builders.build_world()
        self.world = world
        stage = stages.Stage(world, lambda: self.now, paced=False)
        self.addCleanup(stage.close)
        self.driver = driver.SimulatedDriver(
            driver.Params('a', builders.ALL), stage
        )

    def wait(self, seconds):
        self.now += seconds
        return False

    def measure(self, seconds=31, wait=None):
        return measuring.measure(
            self.driver,
            'id-g',
            1000.0,
            seconds,
            lambda: self.now,
            wait or self.wait,
        )

    def test_a_hot_set_is_found_within_the_time(self):
        self.world.add_instance(
            builders.build_instance('g', dirty=50.0, working=100.0), 'a'
        )
        found = self.measure()
        self.assertAlmostEqual(100.0, found.hot_set_mib, delta=25.0)
        # less than 50: some pages are hit twice within a second
        self.assertAlmostEqual(40.0, found.dirty_rate_mib_s, delta=10.0)
        self.assertEqual(31.0, self.now)

    def test_what_cannot_be_measured_is_said(self):
        """Whoever is interrupted has measured nothing either."""
        self.world.add_instance(builders.build_instance('g'), 'a')
        with self.assertRaisesRegex(
            errors.MigrationError, 'cannot be measured'
        ):
            self.measure(wait=lambda seconds: True)
