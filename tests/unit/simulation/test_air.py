"""Simulated migrations: what they take, alone and beside others."""

import csv
import dataclasses
import math
import pathlib
import unittest

import numpy as np

from benchmarks.migration import flights
from benchmarks.migration import traces
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import prediction

FIXED = prediction.FIXED_SECONDS
PRE_COPY = request.Options()
#: Real migrations of the lab's guests: libvirt 9.0, QEMU 7.2, links limited
#: by tc, as ``benchmarks.migration prediction`` and ``ratio`` ran them.
RECORDED = pathlib.Path(__file__).parents[2] / 'data' / 'migrations'
#: What those guests use, which write a byte of a page and then wait.
CORES = 0.1
#: What is left of a link without the frames.
PAYLOAD = 0.957
IDLE = flights.Guest(memory_mib=4096, memory_usage_mib=1000)


class AirTest(unittest.TestCase):
    def test_an_idle_guest_takes_its_memory_once(self):
        (taken,) = flights.seconds([IDLE], 100.0, PRE_COPY)
        self.assertAlmostEqual(10.0 + FIXED, taken, delta=0.1)

    def test_two_at_once_share_the_link(self):
        taken = flights.seconds([IDLE, IDLE], 100.0, PRE_COPY)
        for one in taken:
            self.assertAlmostEqual(20.0 + FIXED, one, delta=0.1)

    def test_whoever_is_left_has_the_link_to_itself(self):
        """From the last byte of the other on, and not from its end."""
        small = dataclasses.replace(IDLE, memory_usage_mib=200)
        first, last = flights.seconds([small, IDLE], 100.0, PRE_COPY)
        self.assertAlmostEqual(4.0 + FIXED, first, delta=0.1)
        self.assertAlmostEqual(12.0 + FIXED, last, delta=0.1)

    def test_whoever_comes_later_takes_a_share(self):
        """From its first byte on."""
        first, last = flights.seconds(
            [IDLE, IDLE], 100.0, PRE_COPY, begins=(0.0, 4.0)
        )
        self.assertAlmostEqual(16.0 + FIXED, first, delta=0.1)
        self.assertAlmostEqual(16.0 + FIXED, last, delta=0.1)

    def test_a_pass_goes_on_at_the_new_pace(self):
        """What got dirty at the old one is not forgotten, nor made up."""
        small = dataclasses.replace(IDLE, memory_usage_mib=500)
        busy = dataclasses.replace(
            IDLE, dirty_rate_mib_s=30.0, hot_set_mib=600.0
        )
        _, taken = flights.seconds([small, busy], 100.0, PRE_COPY)
        expected = prediction.predict_over(
            1000.0,
            30.0,
            flow.Flow.of((np.array([50.0]), np.array([100.0])), (10.0,)),
            600.0,
            PRE_COPY,
        )
        self.assertAlmostEqual(expected.seconds, taken, delta=0.5)
        # 450 MiB got dirty in the 15 s of the first pass
        self.assertAlmostEqual(15.0 + 4.5 + 1.35 + 0.4, taken - FIXED, delta=1)

    def test_local_disks_are_copied_before_the_memory(self):
        """Where migrations copy storage, and only there."""
        local = dataclasses.replace(IDLE, disk_gib=2.0)
        copying = dataclasses.replace(PRE_COPY, copy_storage=True)
        (shared,) = flights.seconds([local], 100.0, PRE_COPY)
        (copied,) = flights.seconds([local], 100.0, copying)
        (none,) = flights.seconds([IDLE], 100.0, copying)
        self.assertAlmostEqual(20.48, copied - shared, delta=0.01)
        self.assertAlmostEqual(shared, none)

    def test_one_that_does_not_converge_never_arrives(self):
        busy = dataclasses.replace(
            IDLE, dirty_rate_mib_s=300.0, hot_set_mib=900.0
        )
        never = dataclasses.replace(PRE_COPY, auto_converge=False)
        self.assertEqual([math.inf], flights.seconds([busy], 100.0, never))

    def test_real_migrations_took_what_simulated_ones_take(self):
        """Within 15 %: idle, busy, throttled, by post-copy."""
        with (RECORDED / 'alone.csv').open() as file:
            rows = list(csv.DictReader(file))
        modes = {(row['mode'], row['throttle_percent']) for row in rows}
        self.assertLessEqual(
            {('pre-copy', '0'), ('pre-copy', '90'), ('post-copy', '0')}, modes
        )
        for row in rows:
            guest = flights.Guest(
                *(
                    float(row[name])
                    for name in (
                        'memory_mib',
                        'memory_usage_mib',
                        'dirty_rate_mib_s',
                        'hot_set_mib',
                    )
                ),
                cpu_usage=CORES,
            )
            (taken,) = flights.seconds(
                [guest],
                float(row['link_mib_s']) * PAYLOAD,
                request.Options(post_copy=row['post_copy'] == '1'),
            )
            with self.subTest(row=row):
                self.assertAlmostEqual(
                    1.0, taken / float(row['seconds']), delta=0.15
                )

    def test_real_pairs_took_what_simulated_ones_take(self):
        """As ``simulated --record`` had them; by their load within 10 %."""
        recorded = list(traces.read(RECORDED / 'together.jsonl'))
        kinds = {
            tuple(one.mode for one in pair.migrations) for pair in recorded
        }
        self.assertLessEqual(
            {
                ('pre-copy', 'pre-copy'),
                ('post-copy', 'post-copy'),
                ('pre-copy', 'post-copy'),
            },
            kinds,
        )
        for pair in recorded:
            for number, (one, measured, loaded) in enumerate(
                zip(
                    pair.migrations,
                    pair.simulated(),
                    pair.as_loaded(),
                    strict=True,
                )
            ):
                with self.subTest(pair.case, guest=number):
                    self.assertAlmostEqual(
                        1.0, measured / one.seconds, delta=0.15
                    )
                    self.assertAlmostEqual(
                        1.0, loaded / one.seconds, delta=0.10
                    )


if __name__ == '__main__':
    unittest.main()
