"""Days and weeks: what is learned of them, and what it costs."""

import unittest

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import shapes

SLOT = shapes.SLOT_SECONDS
DAY = 86_400.0
#: A Monday, at midnight.
MONDAY = 4 * DAY


def lived(usage_at, days, rows=1, heard=lambda moment: True):
    """Let rows live for some days; *usage_at* says what all of them use."""
    made = shapes.Shapes()
    made.grow(rows)
    every = np.arange(rows)
    for slot in range(48 * days + 1):
        moment = MONDAY + slot * SLOT
        if heard(moment):
            usage = np.full(rows, usage_at(moment))
            made.add(every, usage, np.full(rows, SLOT), moment)
        else:
            made.add(every[:0], np.zeros(0), np.zeros(0), moment)
    return made


def busy_at_nine(moment):
    return 3.0 if 9 <= moment % DAY / 3600 < 11 else 0.5


class CodesTest(unittest.TestCase):
    @given(st.floats(0, 500))
    def test_a_code_is_three_percent_off_at_most(self, value):
        (found,) = shapes.decode(shapes.encode(np.array([value])))
        self.assertLessEqual(abs(found - value), 0.03 * value + 0.0005)

    def test_unknown_is_not_zero(self):
        self.assertEqual([1], shapes.encode(np.array([0.0])).tolist())


class DayTest(unittest.TestCase):
    def outlook(self, made, hour, day=3):
        moment = MONDAY + day * DAY + hour * 3600
        return made.outlook(np.array([0]), moment)

    def test_a_peak_that_comes_every_day_is_foreseen(self):
        made = lived(busy_at_nine, 3)
        for hour, expected in ((8, 0.5), (9, 3.0), (10.5, 3.0), (11, 0.5)):
            with self.subTest(hour=hour):
                found = self.outlook(made, hour)
                self.assertTrue(found.known[0])
                self.assertAlmostEqual(expected, found.mean[0], delta=0.1)
                self.assertLess(found.deviation[0], 0.1)

    def test_nothing_is_foreseen_of_a_first_day(self):
        self.assertFalse(self.outlook(lived(busy_at_nine, 1), 9).known[0])
        self.assertTrue(self.outlook(lived(busy_at_nine, 2), 9).known[0])

    def test_what_varies_has_a_deviation(self):
        dice = np.random.default_rng(1)
        made = lived(lambda moment: dice.uniform(0.0, 2.0), 10)
        found = self.outlook(made, 12, day=10)
        self.assertGreater(found.deviation[0], 0.25)

    def test_missing_is_missing_and_not_zero(self):
        """An hour that nobody heard of leaves what is known of it alone."""
        made = lived(
            busy_at_nine, 4, heard=lambda moment: moment < MONDAY + 2 * DAY
        )
        self.assertAlmostEqual(
            3.0, self.outlook(made, 9, day=4).mean[0], delta=0.1
        )
        self.assertTrue(np.isnan(made.day(np.array([0]))).all())

    def test_a_reading_or_two_are_no_half_hour(self):
        made = shapes.Shapes()
        made.grow(1)
        row, short = np.array([0]), np.array([60.0])
        made.add(row, np.array([9.0]), short, MONDAY)
        made.add(row, np.array([1.0]), short, MONDAY + SLOT)
        self.assertTrue(np.isnan(made.day(row)).all())

    def test_a_minute_of_a_burst_is_averaged_away(self):
        made = shapes.Shapes()
        made.grow(1)
        row, minute = np.array([0]), np.array([60.0])
        for number in range(30):
            usage = 30.0 if number == 10 else 1.0
            at = MONDAY + 60.0 * number
            made.add(row, np.array([usage]), minute, at)
        self.assertTrue(made.add(row, np.ones(1), minute, MONDAY + SLOT))
        self.assertAlmostEqual(2.0, made.day(row)[0, 0], delta=0.1)

    def test_weekends_are_learned(self):
        made = lived(
            lambda moment: 0.4 if moment // DAY % 7 in (2, 3) else 2.0, 28
        )
        # Day 2 since the epoch was a Saturday.
        working = self.outlook(made, 12, day=28).mean[0]
        saturday = self.outlook(made, 12, day=33).mean[0]
        self.assertAlmostEqual(2.0, working, delta=0.5)
        self.assertLess(saturday, 0.5 * working)


class KeepingTest(unittest.TestCase):
    def test_it_survives(self):
        made = lived(busy_at_nine, 3, rows=3)
        again = shapes.Shapes()
        again.grow(5)
        again.unpack(np.array([1, 4]), made.packed(np.array([0, 2])))
        moment = MONDAY + 3 * DAY + 9 * 3600
        before = made.outlook(np.array([0]), moment)
        after = again.outlook(np.array([4, 0]), moment)
        self.assertEqual(before.mean[0], after.mean[0])
        self.assertEqual([True, False], after.known.tolist())

    def test_what_is_cleared_is_unknown(self):
        made = lived(busy_at_nine, 3)
        made.clear(np.array([0]))
        self.assertFalse(made.outlook(np.array([0]), MONDAY).known[0])

    def test_it_is_small(self):
        """Tens of bytes an instance, and the day as it goes."""
        made = shapes.Shapes()
        made.grow(200_000)
        self.assertLessEqual(made.nbytes / 200_000, 128)
        self.assertLess(made.nbytes, 150 * 2**20)


class ForeseenTest(unittest.TestCase):
    def test_deviations_of_a_host_cancel_out_in_part(self):
        usage = np.zeros(4)
        outlook = shapes.Outlook(
            np.ones(4, np.bool_), np.ones(4), np.full(4, 0.5)
        )
        host = np.array([0, 0, 0, 0], np.int32)
        found = shapes.foreseen(usage, outlook, host, 1, caution=2.0)
        self.assertAlmostEqual(4.0 + 2.0 * 1.0, float(found.sum()))

    def test_what_is_not_known_is_as_it_is(self):
        outlook = shapes.Outlook(
            np.array([False, True, True]), np.full(3, 9.0), np.zeros(3)
        )
        host = np.zeros(3, np.int32)
        found = shapes.foreseen(
            np.array([1.0, 2.0, 12.0]), outlook, host, 1, 1.0
        )
        self.assertEqual([1.0, 9.0, 12.0], found.tolist())
