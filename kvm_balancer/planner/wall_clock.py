"""Spans of local time as moments, where clocks are set forward and back.

A span holds whenever the clocks of its place show a time within it. When
they are set forward, one that begins in the hour that is skipped begins as
they are set, and one that lies in it altogether holds for as long from then
on. When they are set back, what lies in the hour that comes twice holds both
times.

Moments are seconds since the epoch.
"""

import datetime
import math

_Span = tuple[float, float]


def spans(
    start: datetime.datetime,
    end: datetime.datetime,
    zone: datetime.tzinfo,
) -> list[_Span]:
    """Return when the clocks of *zone* show *start* to *end*.

    :param start: without a zone, as is *end*, which is not in it any more
    :returns: beginnings and ends, in their order
    """
    found = [
        (max(begins, after), min(ends, before))
        for begins, ends in _since(start, zone)
        for after, before in _until(end, zone)
    ]
    found = [(begins, ends) for begins, ends in found if begins < ends]
    if found or start >= end:
        return sorted(found)
    ((begins, _),) = _since(start, zone)
    return [(begins, begins + (end - start).total_seconds())]


def _since(local: datetime.datetime, zone: datetime.tzinfo) -> list[_Span]:
    """Return when the clocks show *local* or more."""
    first, second = _moments(local, zone)
    if first == second:
        return [(first, math.inf)]
    change = _change(first, second, zone)
    if second < first:
        return [(change, math.inf)]
    return [(first, change), (second, math.inf)]


def _until(local: datetime.datetime, zone: datetime.tzinfo) -> list[_Span]:
    """Return when the clocks show less than *local*."""
    first, second = _moments(local, zone)
    if first == second:
        return [(-math.inf, first)]
    change = _change(first, second, zone)
    if second < first:
        return [(-math.inf, change)]
    return [(-math.inf, first), (change, second)]


def _moments(local: datetime.datetime, zone: datetime.tzinfo) -> _Span:
    """Return *local* by the clocks before and after they are set (PEP 495).

    They are equal but around that; the second is less where *local* is
    skipped.
    """
    aware = local.replace(tzinfo=zone)
    return aware.timestamp(), aware.replace(fold=1).timestamp()


def _change(one: float, other: float, zone: datetime.tzinfo) -> float:
    """Return the second between two moments at which clocks are set."""
    low, high = sorted((math.floor(one), math.ceil(other)))
    before = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(moment: float, zone: datetime.tzinfo) -> datetime.timedelta | None:
    return datetime.datetime.fromtimestamp(moment, zone).utcoffset()
