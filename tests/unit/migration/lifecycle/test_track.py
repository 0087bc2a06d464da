"""A track is bounded, and what is thrown away would not be missed."""

import unittest

import hypothesis
from hypothesis import strategies as st
import msgspec

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import track
from kvm_balancer.model import track as tracks

_LOOKS = st.lists(
    st.tuples(
        st.floats(-5.0, 3600.0),
        st.sampled_from(('pre-copy', 'post-copy', 'switchover')),
        st.booleans(),
        st.floats(0.0, 1e6),
        st.floats(0.0, 1e4),
        st.integers(0, 99),
    ),
    max_size=80,
)


def _record(looks, times=1):
    """Feed *looks* so many times; return the recorder and all that it saw."""
    recorder, now, passes, fed = track.Recorder(1000.0), 1000.0, 1, []
    for step, state, boundary, left, rate, throttle in looks * times:
        now += step
        passes += boundary
        recorder.enter(state, now)
        recorder.take(
            events.Statistics(
                remaining_mib=left,
                bandwidth_mib_s=rate,
                dirty_rate_mib_s=rate / 2,
                throttle_percent=throttle,
                iteration=passes,
            ),
            now,
        )
        fed.append((round(left, 1), round(rate, 1), throttle, passes))
    return recorder.track(), fed


class TrackProperties(unittest.TestCase):
    @hypothesis.given(_LOOKS, st.sampled_from((1, 9)))
    def test_it_is_bounded_and_time_never_goes_back(self, looks, times):
        found, _ = _record(looks, times)
        self.assertLessEqual(len(found), track.POINTS)
        self.assertLessEqual(len(found.states), track.MARKS)
        self.assertEqual(sorted(found.seconds), list(found.seconds))
        marks = [mark.seconds for mark in found.states]
        self.assertEqual(sorted(marks), marks)
        self.assertEqual(sorted(found.passes), list(found.passes))

    @hypothesis.given(_LOOKS, st.sampled_from((1, 9)))
    def test_ends_and_extremes_stay(self, looks, times):
        found, fed = _record(looks, times)
        hypothesis.assume(fed)
        for column, kept in enumerate(
            (
                found.remaining_mib,
                found.bandwidth_mib_s,
                found.throttle_percent,
            )
        ):
            seen = [one[column] for one in fed]
            self.assertEqual(
                (seen[0], seen[-1], min(seen), max(seen)),
                (kept[0], kept[-1], min(kept), max(kept)),
            )

    @hypothesis.given(_LOOKS)
    def test_a_track_that_is_sent_is_the_same(self, looks):
        found, _ = _record(looks)
        sent = msgspec.json.encode(found)
        self.assertEqual(found, msgspec.json.decode(sent, type=tracks.Track))


class TrackTest(unittest.TestCase):
    def _hours(self, passes, looks):
        """A saw tooth: each pass leaves a little less than the last."""
        recorder = track.Recorder(0.0)
        recorder.enter('pre-copy', 0.0)
        for number in range(1, passes + 1):
            top = 1000.0 - number
            for look in range(looks):
                recorder.take(
                    events.Statistics(
                        iteration=number,
                        remaining_mib=top * (1.0 - look / looks),
                        bandwidth_mib_s=100.0,
                    ),
                    60.0 * number + 60.0 * look / looks,
                )
        return recorder.track()

    def test_passes_of_hours_all_keep_their_ends(self):
        found = self._hours(passes=90, looks=40)
        self.assertEqual(set(range(1, 91)), set(found.passes))
        tops = {
            number: max(
                left
                for left, one in zip(
                    found.remaining_mib, found.passes, strict=True
                )
                if one == number
            )
            for number in range(1, 91)
        }
        self.assertEqual(
            {number: 1000.0 - number for number in range(1, 91)}, tops
        )

    def test_more_passes_than_points_still_fall_slowly(self):
        found = self._hours(passes=600, looks=5)
        self.assertEqual(track.POINTS, len(found))
        gaps = [
            after - before
            for before, after in zip(
                found.seconds, found.seconds[1:], strict=False
            )
        ]
        self.assertLess(max(gaps), 0.05 * found.seconds[-1])

    def test_changes_of_state_keep_a_point_on_both_sides(self):
        recorder = track.Recorder(0.0)
        recorder.enter('pre-copy', 0.0)
        for second in range(1000):
            if second == 333:
                recorder.enter('post-copy', 332.5)
            recorder.take(
                events.Statistics(remaining_mib=1000.0 - second), second
            )
        seconds = recorder.track().seconds
        self.assertIn(332.5, [m.seconds for m in recorder.track().states])
        self.assertLessEqual({332.0, 333.0}, set(seconds))

    def test_it_is_small_on_the_wire(self):
        sent = msgspec.json.encode(self._hours(passes=90, looks=40))
        self.assertLess(len(sent), 12_000)

    def test_columns_of_different_length_are_no_track(self):
        with self.assertRaises(msgspec.ValidationError):
            msgspec.convert({'seconds': [1.0]}, tracks.Track)
