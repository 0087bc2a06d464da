"""What simulated instances use."""

import unittest

import numpy as np

from kvm_balancer.messages import load_document
from kvm_balancer.simulation import load
from tests.unit.model import test_traces
from tests.unit.simulation import fleets

RECORDING = test_traces.recorded(
    [(60 * step, 0.5 + step % 3) for step in range(60)],
    [(60 * step, 16.0 * (step % 2)) for step in range(60)],
)


class RecordedTest(unittest.TestCase):
    def build(self, seed=1, factor=1.0):
        instances = fleets.even().instances
        return instances, load.recorded(instances, RECORDING, 60, seed, factor)

    def usages(self, made):
        return np.array([made.cpu_usage(60.0 * step) for step in range(60)])

    def test_a_seed_draws_the_same_again(self):
        first, again, other = (
            self.usages(self.build(seed)[1]) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        self.assertTrue((first != other).any())

    def test_a_trace_that_is_too_large_keeps_its_shape(self):
        instances, made = self.build()
        usages = self.usages(made)
        large = made.trace == 1
        self.assertTrue((usages <= instances.vcpus * 1.05 + 1e-6).all())
        self.assertEqual(
            {0.0, 4.2}, set(np.round(usages[:, large].ravel(), 3).tolist())
        )

    def test_an_instance_with_a_trace_of_its_own_gets_it(self):
        recording = test_traces.recorded([(0, 1.5), (60, 0.25)])
        object.__setattr__(recording, 'name', ('i3-2',))
        instances = fleets.even().instances
        made = load.recorded(instances, recording, 60, 5, 2.0)
        row = instances.id.index('i3-2')
        self.assertEqual(3.0, made.cpu_usage(0.0)[row])
        self.assertEqual(0.5, made.cpu_usage(60.0)[row])

    def test_it_is_played_back_at_the_time_it_was_made(self):
        recording = test_traces.recorded([(1e9, 1.5), (1e9 + 60, 0.25)])
        object.__setattr__(recording, 'name', ('i3-2',))
        instances = fleets.even().instances
        made = load.recorded(instances, recording, 60, 5)
        row = instances.id.index('i3-2')
        for after, cores in ((0.0, 1.5), (60.0, 0.25), (120.0, 1.5)):
            self.assertEqual(cores, made.cpu_usage(1e9 + after)[row])


class MemoryTest(unittest.TestCase):
    """Memory in use and dirty rates, where they were recorded."""

    def record(self, text):
        return load_document.decode(text.encode())

    def test_without_any_there_is_nothing_to_say(self):
        instances = fleets.even().instances
        recording = self.record('instance,second,cpu_usage\ni0-0,0,1\n')
        made = load.recorded(instances, recording, 60, 5)
        self.assertIsNone(made.memory(0.0))

    def test_an_instance_has_what_was_recorded_of_it(self):
        instances = fleets.even().instances
        recording = self.record(
            'instance,second,cpu_usage,memory_usage_mib,dirty_rate_mib_s\n'
            'i0-0,0,1,1000,5\ni0-0,60,1,2000,\nother,0,1,8192,7\n'
        )
        made = load.recorded(instances, recording, 60, 5)
        first, second = made.memory(0.0), made.memory(60.0)
        self.assertEqual((1000, 5), _of(first, 0))
        self.assertEqual(2000, second.usage_mib[0])
        self.assertTrue(np.isnan(second.dirty_rate_mib_s[0]))
        # One twice as large is made smaller as a whole.
        drew = np.flatnonzero(made.trace == 1)
        self.assertTrue(len(drew))
        self.assertEqual((4096, 7), _of(first, drew[0]))


def _of(memory, row):
    return memory.usage_mib[row], memory.dirty_rate_mib_s[row]


class SyntheticTest(unittest.TestCase):
    def test_days_and_weekends_are_seen_and_bounds_are_kept(self):
        instances = fleets.even().instances
        made = load.synthetic(
            instances, 1, swing=0.9, noise=0.0, peak_hour=12.0
        )
        hour = 3600.0
        noon, night = made.cpu_usage(12 * hour), made.cpu_usage(0.0)
        self.assertGreater(noon.sum(), 1.5 * night.sum())
        for day, share in ((1, 1.0), (2, 0.6), (3, 0.6), (4, 1.0)):
            # The first of January 1970 was a Thursday.
            then = made.cpu_usage((day * 24 + 12) * hour)
            np.testing.assert_allclose(then, share * noon)

    def test_a_burst_uses_all_there_is(self):
        instances = fleets.even().instances
        made = load.synthetic(instances, 1, noise=0.5, bursting=0.2)
        usage = made.cpu_usage(1000.0)
        most = instances.vcpus * 1.05
        self.assertTrue(((usage >= 0) & (usage <= most)).all())
        self.assertIn(4.2, usage.tolist())
        np.testing.assert_array_equal(usage, made.cpu_usage(1000.0))

    def test_a_step_lasts_as_long_as_it_does(self):
        instances = fleets.even().instances
        made = load.Stepped(
            fleets.steady(instances),
            np.array([3]),
            3.0,
            ((600.0, 900.0),),
            instances.vcpus,
        )
        self.assertEqual(
            [1, 3, 1],
            [made.cpu_usage(at)[3] for at in (599.0, 600.0, 900.0)],
        )
        self.assertEqual(1, made.cpu_usage(600.0)[2])
