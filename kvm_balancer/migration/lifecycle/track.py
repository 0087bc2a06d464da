"""Keeps how a migration went over time, in a bounded number of points.

Pure. A copy of hours is looked at tens of thousands of times. What stays of
that are the ends, the extremes of every figure, the points around each change
of state, the ends of passes, and of the rest what a line between its
neighbours would not show.
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.model import track

#: Of a track: enough for a drawing of any terminal's width.
POINTS = 200
#: Of its states: a stream that breaks again and again changes them for ever.
MARKS = 24

#: Digits after the point: more than can be drawn, less than a float's.
_SECONDS_DIGITS = 2
_DIGITS = 1
#: What a point on a straight line counts, so that no stretch is emptied.
_STRAIGHT = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """One look at a copy.

    :ivar figures: remaining, of the disks, bandwidth, dirty rate, throttle
    """

    seconds: float
    figures: tuple[float, float, float, float, float]
    passes: int


class Recorder:
    """Records the track of one migration.

    :param begun_at: when it was accepted, seconds since the epoch
    """

    def __init__(self, begun_at: float) -> None:
        self._begun_at = begun_at
        self._points: list[Point] = []
        self._marks: list[track.Mark] = []

    def enter(self, state: str, at: float) -> None:
        """Note the state that it is in; again and again is once."""
        if self._marks and self._marks[-1].state == state:
            return
        self._marks.append(track.Mark(self._seconds(at), state))
        if len(self._marks) > MARKS:
            del self._marks[MARKS // 2]

    def entered(self, state: str) -> float | None:
        """Return when a state was entered first, as far as that was kept.

        :returns: seconds since the beginning; None where it never was
        """
        for mark in self._marks:
            if mark.state == state:
                return mark.seconds
        return None

    def take(self, seen: events.Statistics, at: float) -> None:
        """Note what the copy looks like."""
        self._points.append(
            Point(
                self._seconds(at),
                (
                    round(seen.remaining_mib, _DIGITS),
                    round(seen.disk_remaining_mib, _DIGITS),
                    round(seen.bandwidth_mib_s, _DIGITS),
                    round(seen.dirty_rate_mib_s, _DIGITS),
                    float(seen.throttle_percent),
                ),
                seen.iteration,
            )
        )
        if len(self._points) > 2 * POINTS:
            self._points = thin(self._points, self._marks, POINTS)

    def track(self) -> track.Track:
        """Return what was recorded so far."""
        points = thin(self._points, self._marks, POINTS)
        remaining, disk, bandwidth, dirty, throttle = (
            tuple(point.figures[column] for point in points)
            for column in range(5)
        )
        return track.Track(
            begun_at=self._begun_at,
            seconds=tuple(point.seconds for point in points),
            remaining_mib=remaining,
            disk_remaining_mib=disk,
            bandwidth_mib_s=bandwidth,
            dirty_rate_mib_s=dirty,
            throttle_percent=tuple(round(one) for one in throttle),
            passes=tuple(point.passes for point in points),
            states=tuple(self._marks),
        )

    def _seconds(self, at: float) -> float:
        """Return the time since the beginning; it never falls.

        The clock of a host may be set back, and events may come late.
        """
        last = max(
            (self._points[-1].seconds if self._points else 0.0),
            (self._marks[-1].seconds if self._marks else 0.0),
        )
        return max(round(at - self._begun_at, _SECONDS_DIGITS), last)


def thin(
    points: collections.abc.Sequence[Point],
    marks: collections.abc.Sequence[track.Mark],
    limit: int,
) -> list[Point]:
    """Return at most *limit* of the points, and the shape of all of them.

    :param limit: more than the ends, the extremes and the changes of state
        take together: 2 + 10 + 2 * MARKS
    """
    kept = list(points)
    while len(kept) > limit:
        weights = _weights(kept)
        must = _indispensable(kept, marks)
        spare = [row for row in range(len(kept)) if row not in must]
        # The end of a pass goes only where nothing else is left.
        between = [
            row for row in spare if kept[row].passes == kept[row - 1].passes
        ]
        dropped: set[int] = set()
        for row in sorted(between or spare, key=weights.__getitem__):
            if len(kept) - len(dropped) <= limit:
                break
            # What a point is worth changes with its neighbours.
            if dropped.isdisjoint((row - 1, row + 1)):
                dropped.add(row)
        kept = [point for row, point in enumerate(kept) if row not in dropped]
    return kept


def _indispensable(
    points: list[Point], marks: collections.abc.Sequence[track.Mark]
) -> set[int]:
    rows = range(len(points))
    must = {0, len(points) - 1}
    for column in range(len(points[0].figures)):
        must.add(max(rows, key=lambda row: points[row].figures[column]))
        must.add(min(rows, key=lambda row: points[row].figures[column]))
    row = 0
    for mark in marks:
        while row < len(points) and points[row].seconds < mark.seconds:
            row += 1
        must.update((max(row - 1, 0), min(row, len(points) - 1)))
    return must


def _weights(points: list[Point]) -> list[float]:
    """Say how much of the drawing each point makes.

    As in Visvalingam's simplification of lines: how far a point is off the
    line between its neighbours, times how far apart those are.
    """
    columns = list(zip(*(point.figures for point in points), strict=True))
    spans = [(max(column) - min(column)) or 1.0 for column in columns]
    weights = [0.0] * len(points)
    for row in range(1, len(points) - 1):
        before, here, after = points[row - 1 : row + 2]
        gap = after.seconds - before.seconds
        share = (here.seconds - before.seconds) / gap if gap else 0.5
        off = _STRAIGHT + sum(
            abs(value - first - share * (last - first)) / span
            for first, value, last, span in zip(
                before.figures,
                here.figures,
                after.figures,
                spans,
                strict=True,
            )
        )
        weights[row] = off * (gap or 10.0**-_SECONDS_DIGITS)
    return weights
