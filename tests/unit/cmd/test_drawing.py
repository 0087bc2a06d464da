"""Drawings fit their terminal, and show what happened when it did."""

import dataclasses
import io
import unittest

import hypothesis
from hypothesis import strategies as st

from kvm_balancer.cmd import drawing
from kvm_balancer.model import outcome
from kvm_balancer.model import track

_POINTS = st.lists(
    st.tuples(
        st.floats(0.0, 1e5),
        st.floats(0.0, 1e7),
        st.floats(0.0, 1e5),
        st.integers(0, 99),
    ),
    max_size=40,
)
_STATES = st.lists(
    st.tuples(st.floats(0.0, 1e5), st.text('abc -', max_size=30)), max_size=24
)


def _track(points, marks=()):
    points = sorted(points)
    columns = list(zip(*points, strict=True)) or [(), (), (), ()]
    nothing = (0.0,) * len(points)
    return track.Track(
        seconds=columns[0],
        remaining_mib=columns[1],
        disk_remaining_mib=nothing,
        bandwidth_mib_s=columns[2],
        dirty_rate_mib_s=nothing,
        throttle_percent=columns[3],
        passes=(1,) * len(points),
        states=tuple(track.Mark(*mark) for mark in sorted(marks)),
    )


def _plain(lines):
    return [''.join(word for word, _ in line) for line in lines]


class DrawingTest(unittest.TestCase):
    @hypothesis.given(
        _POINTS,
        _STATES,
        st.lists(st.floats(-10.0, 1e5), max_size=15),
        st.sampled_from((40, 80, 120, 300)),
        st.sampled_from((drawing.BLOCKS, drawing.ASCII)),
    )
    def test_every_drawing_fits_its_terminal(
        self, points, marks, decided, width, glyphs
    ):
        story = [
            outcome.StoryLine(at, 'pre-copy', 'x', number)
            for number, at in enumerate(sorted(decided), 1)
        ]
        lines = _plain(
            drawing.draw(_track(points, marks), story, width, glyphs)
        )
        self.assertEqual(bool(points), bool(lines))
        for line in lines:
            self.assertLessEqual(len(line.rstrip()), width, line)
            self.assertTrue(glyphs is drawing.BLOCKS or line.isascii())

    def test_a_copy_falls_from_left_to_right_and_states_stand_below(self):
        found = _track(
            [(float(n), 100.0 - 10 * n, 50.0, 0) for n in range(11)],
            [(0.0, 'pre-copy'), (8.0, 'post-copy'), (10.0, 'completed')],
        )
        story = [outcome.StoryLine(5.0, 'pre-copy', 'x', 1)]
        lines = _plain(drawing.draw(found, story, 38, drawing.ASCII))
        self.assertEqual(
            [
                '  decisions              1',
                '    100 MiB |##:.        :',
                'memory left |######:.    :',
                '            |##########:.:',
                '            |##############:.',
                '            |##################:.',
                '            |######################:.',
            ],
            [line.rstrip() for line in lines[:7]],
        )
        self.assertEqual(
            ['^pre-copy post-copy^', 'completed^'],
            [line.strip() for line in lines[-2:]],
        )

    def test_a_guest_that_has_left_has_no_dirty_rate_and_no_throttle(self):
        """Its source tells the last ones for ever."""
        points = tuple(float(second) for second in range(11))
        told = dataclasses.replace(
            _track([(at, 100.0 - at, 50.0, 40) for at in points]),
            dirty_rate_mib_s=(50.0,) * len(points),
            states=(
                track.Mark(0.0, 'pre-copy'),
                track.Mark(5.0, 'post-copy'),
                track.Mark(8.0, 'finishing'),
            ),
        )
        lines = _plain(drawing.draw(told, (), 54, drawing.ASCII))
        for name, filled in (('bandwidth', 40), ('dirtied', 20)):
            row = next(line for line in lines if f'{name} |' in line)
            self.assertEqual('#' * filled, row.partition('|')[2].strip())
        row = next(line for line in lines if 'throttle |' in line)
        self.assertEqual(20, len(row.partition('|')[2].rstrip()))

    def test_what_can_show_blocks_gets_them(self):
        for encoding, glyphs in (
            ('utf-8', drawing.BLOCKS),
            ('ascii', drawing.ASCII),
            ('latin-1', drawing.ASCII),
        ):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            self.assertIs(glyphs, drawing.glyphs_of(stream))

    def test_times_are_short(self):
        for seconds, shown in (
            (0.0, '0 s'),
            (0.25, '0.2 s'),
            (9.0, '9 s'),
            (59.4, '59 s'),
            (90.0, '1:30 min'),
            (7200.0, '2 h'),
        ):
            self.assertEqual(shown, drawing.duration(seconds))
