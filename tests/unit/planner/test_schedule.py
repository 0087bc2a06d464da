"""Change windows and freezes, in the local time of their place."""

import dataclasses
import datetime
import math
import unittest
import zoneinfo

from hypothesis import given
from hypothesis import strategies as st

from kvm_balancer.planner import schedule
from kvm_balancer.planner import wall_clock

BERLIN = zoneinfo.ZoneInfo('Europe/Berlin')


def at(text, zone=datetime.UTC):
    """Seconds since the epoch of a local time; 2026-11-23 is a Monday."""
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=zone).timestamp()


def made(windows=(), freezes=(), zone=datetime.UTC):
    return schedule.Schedule(
        tuple(map(schedule.parse, windows)),
        tuple(map(schedule.parse, freezes)),
        zone,
    )


class WindowTest(unittest.TestCase):
    def test_what_is_open_and_what_is_closed(self):
        for window, moment, is_open in (
            ('Mon-Fri 22:00-06:00', '2026-11-23 21:59', False),
            ('Mon-Fri 22:00-06:00', '2026-11-23 22:00', True),
            ('Mon-Fri 22:00-06:00', '2026-11-24 05:59', True),
            ('Mon-Fri 22:00-06:00', '2026-11-24 06:00', False),
            # Friday's goes on into Saturday, Saturday has none
            ('Mon-Fri 22:00-06:00', '2026-11-28 03:00', True),
            ('Mon-Fri 22:00-06:00', '2026-11-28 23:00', False),
            # and Sunday's does not come into Monday
            ('Mon-Fri 22:00-06:00', '2026-11-23 03:00', False),
            ('Sat,Sun', '2026-11-28 00:00', True),
            ('Sat,Sun', '2026-11-30 00:00', False),
            ('Fri-Mon', '2026-11-29 12:00', True),
            ('Fri-Mon', '2026-11-24 12:00', False),
            ('01:00-05:00', '2026-11-24 02:00', True),
            ('01:00-05:00', '2026-11-24 12:00', False),
            ('Sat 00:00-24:00', '2026-11-28 23:59', True),
            ('saturday', '2026-11-28 23:59', True),
            ('2026-12-05 08:00 to 2026-12-06 20:00', '2026-12-06', True),
            ('2026-12-05 08:00 to 2026-12-06 20:00', '2026-12-05', False),
            ('2026-12-24 to 2026-12-26', '2026-12-26 23:00', True),
            ('2026-12-24 to 2026-12-26', '2026-12-27', False),
            ('2026-12-24', '2026-12-24 12:00', True),
        ):
            with self.subTest(window=window, moment=moment):
                closed = made([window]).closed(at(moment))
                self.assertEqual(is_open, not closed, closed)

    def test_without_windows_it_is_always_open(self):
        self.assertEqual('', schedule.Schedule().closed(0.0, 1e9))

    def test_a_freeze_closes_whatever_the_windows_say(self):
        found = made(['Mon-Sun'], ['2026-12-24 to 2026-12-26'])
        self.assertEqual('', found.closed(at('2026-12-23 12:00')))
        self.assertIn(
            'frozen until 2026-12-27 00:00 UTC',
            found.closed(at('2026-12-25 12:00')),
        )

    def test_it_says_when_it_opens(self):
        self.assertIn(
            'opens 2026-11-23 22:00 UTC',
            made(['Mon-Fri 22:00-06:00']).closed(at('2026-11-23 12:00')),
        )

    def test_it_does_not_open_within_a_freeze(self):
        sunday = at('2026-11-29 12:00')
        for windows, freezes, words in (
            (
                ['Mon-Fri 22:00-06:00'],
                ['2026-11-30 18:00 to 2026-12-01 12:00'],
                'opens 2026-12-01 22:00 UTC',
            ),
            (
                [],
                ['2026-11-29 to 2026-11-30', '2026-12-01 to 2026-12-05'],
                r'frozen until 2026-12-06 00:00 UTC \(.*30\)$',
            ),
            (
                ['Mon 08:00-12:00'],
                ['2026-11-28 to 2026-12-30'],
                r'until 2026-12-31 00:00 .*; opens 2027-01-04 08:00 UTC$',
            ),
            (
                [],
                ['Mon-Sun'],
                r'^frozen \(Mon-Sun\)$',
            ),
            (
                ['Sat'],
                ['Sat'],
                r'outside its change windows \(Sat\)$',
            ),
            (
                ['2026-11-30 08:00 to 2026-11-30 12:00'],
                ['2026-11-28 to 2026-12-30'],
                r'until 2026-12-31 00:00 UTC \([^)]*\)$',
            ),
        ):
            with self.subTest(windows=windows, freezes=freezes):
                told = made(windows, freezes).closed(sunday)
                self.assertRegex(told, words)

    def test_what_would_not_end_in_time_does_not_begin(self):
        found = made(['22:00-06:00'])
        late = at('2026-11-24 05:50')
        self.assertEqual('', found.closed(late, 599.0))
        self.assertIn('closes 2026-11-24 06:00', found.closed(late, 601.0))

    def test_windows_that_meet_are_one(self):
        found = made(['22:00-24:00', '00:00-06:00'])
        self.assertEqual(
            at('2026-11-24 06:00'), found.closes(at('2026-11-23 23:00'))
        )
        self.assertEqual(math.inf, made(['Mon-Sun']).closes(0.0))

    def test_a_window_ends_where_a_freeze_begins(self):
        found = made(['Mon-Sun'], ['2026-12-24'])
        self.assertEqual(
            at('2026-12-24'), found.closes(at('2026-12-23 23:00'))
        )


def _minutes(clock):
    """Return a time of day in minutes; one late in the day is before it."""
    minutes = int(clock[:2]) * 60 + int(clock[3:])
    return minutes - 1440 if minutes > 720 else minutes


class TimeZoneTest(unittest.TestCase):
    def test_hours_are_those_of_the_place(self):
        found = made(['22:00-06:00'], zone=BERLIN)
        self.assertEqual('', found.closed(at('2026-11-23 21:30')))
        self.assertNotEqual('', found.closed(at('2026-11-23 20:30')))

    def test_they_stay_so_when_clocks_are_set(self):
        found = made(['22:00-06:00'], zone=BERLIN)
        for moment, is_open in (
            ('2026-10-24 03:30', True),
            ('2026-10-24 04:30', False),
            # summer time has ended this night: six in the morning is later
            ('2026-10-25 04:30', True),
            ('2026-10-25 05:30', False),
            # and begins in this one
            ('2027-03-28 03:30', True),
            ('2027-03-28 04:30', False),
        ):
            with self.subTest(moment):
                self.assertEqual(is_open, not found.closed(at(moment)))

    def test_a_span_around_clocks_being_set_holds_by_the_clocks(self):
        """Set back on 2026-10-25 at 01:00 UTC, forward on 2027-03-28."""
        for span, day, frozen in (
            # 02:00 to 03:00 comes twice: both times
            ('01:00-02:30', '2026-10-25', '23:00-00:30 01:00-01:30'),
            ('02:30-03:00', '2026-10-25', '00:30-01:00 01:30-02:00'),
            ('02:15-02:45', '2026-10-25', '00:15-00:45 01:15-01:45'),
            ('02:30-04:00', '2026-10-25', '00:30-01:00 01:30-03:00'),
            ('00:00-24:00', '2026-10-25', '22:00-00:00 00:00-04:00'),
            # 02:00 to 03:00 is skipped
            ('02:15-03:15', '2027-03-28', '01:00-01:15'),
            ('01:30-02:30', '2027-03-28', '00:30-01:00'),
            ('02:00-02:30', '2027-03-28', '01:00-01:30'),
            ('02:15-02:45', '2027-03-28', '01:00-01:30'),
            ('02:00-03:00', '2027-03-28', '01:00-02:00'),
            ('01:30-03:30', '2027-03-28', '00:30-01:30'),
        ):
            found = made([], [f'{day} {span[:5]} to {day} {span[6:]}'])
            found = dataclasses.replace(found, zone=BERLIN)
            for minute in range(-120, 240, 5):
                now = at(day) + 60.0 * minute
                clock = f'{minute // 60 % 24:02}:{minute % 60:02}'
                inside = any(
                    _minutes(one[:5]) <= minute < _minutes(one[6:])
                    for one in frozen.split()
                )
                with self.subTest(span=span, day=day, utc=clock):
                    self.assertEqual(inside, bool(found.closed(now)))

    @given(st.integers(0, 100_000_000), st.integers(1, 200_000))
    def test_what_the_clocks_show_in_a_span_is_in_it(self, begin, seconds):
        """And what they do not show is not, but after what is skipped."""
        start = datetime.datetime(2025, 1, 1) + datetime.timedelta(
            seconds=begin
        )
        end = start + datetime.timedelta(seconds=seconds)
        spans = wall_clock.spans(start, end, BERLIN)
        self.assertTrue(spans)
        around = range(-7200, seconds + 7200, 601)
        for ahead in around:
            now = start.replace(tzinfo=BERLIN).timestamp() + ahead
            shown = datetime.datetime.fromtimestamp(now, BERLIN)
            inside = start <= shown.replace(tzinfo=None) < end
            held = any(first <= now < last for first, last in spans)
            skipped = seconds <= 3600 and (
                start.replace(tzinfo=BERLIN).utcoffset()
                != start.replace(tzinfo=BERLIN, fold=1).utcoffset()
            )
            if not skipped:
                self.assertEqual(inside, held, (start, end, shown))

    def test_zones_have_schedules_of_their_own(self):
        found = schedule.Schedules(
            made(['Sat']), {'az1': made(['Mon'], zone=BERLIN)}
        )
        monday = at('2026-11-23 12:00')
        self.assertEqual('', found.closed('az1', monday))
        self.assertEqual(
            ['az2'], list(found.all_closed(('az1', 'az2'), monday))
        )


class ParseTest(unittest.TestCase):
    def test_what_makes_no_sense_is_refused_in_one_line(self):
        for text, words in (
            ('', 'no span of time'),
            ('22-6', 'no span of time'),
            ('Mun 22:00-06:00', 'Mun is no day'),
            ('Mon-Tue-Wed', 'are no days'),
            ('Mon 25:00-26:00', '25:00 is no time'),
            ('Mon 12:60-13:00', '12:60 is no time'),
            ('2026-13-01', 'is no date'),
            ('2026-12-24 to 2026-12-20', 'ends before it begins'),
        ):
            with (
                self.subTest(text),
                self.assertRaisesRegex(ValueError, words),
            ):
                schedule.parse(text)

    @given(
        st.integers(0, 6),
        st.integers(0, 23),
        st.integers(1, 23),
        st.integers(0, 40_000_000),
    )
    def test_a_window_and_the_same_as_a_freeze_are_opposites(
        self, day, start, length, seconds
    ):
        """Whenever one is open, the other is closed."""
        name = ('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[day]
        text = f'{name} {start:02}:00-{(start + length) % 24:02}:00'
        now = at('2026-01-01') + seconds
        window, freeze = (
            made([text], zone=BERLIN),
            made([], [text], zone=BERLIN),
        )
        self.assertNotEqual(bool(window.closed(now)), bool(freeze.closed(now)))
