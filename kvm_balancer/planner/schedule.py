"""When instances may be moved: change windows, and freezes.

A span is written as operators say it, in the local time of its place::

    Mon-Fri 22:00-06:00        every week; over midnight it ends a day later
    Sat,Sun                    whole days
    01:00-05:00                every day
    2026-12-24 to 2027-01-02   dates, both of them included
    2026-12-23 18:00 to 2026-12-24 06:00

Without windows a place is always open; a freeze closes it whatever its
windows say. Clocks that are set forward or back are heeded: what is local
stays local (:mod:`.wall_clock`). Pure: time comes in as seconds since the
epoch, and time zones as they are handed in.
"""

import collections.abc
import dataclasses
import datetime
import math
import re
from typing import Final
from typing import TYPE_CHECKING

from kvm_balancer.model import plan
from kvm_balancer.planner import wall_clock

if TYPE_CHECKING:
    # The configuration reads windows, and has no use for numpy.
    from kvm_balancer.model import fleet as columns

_DAYS: Final = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
_ALL_DAYS: Final = frozenset(range(7))
_TIME: Final = r'(\d{1,2}):(\d{2})'
_DATE: Final = r'(\d{4}-\d{2}-\d{2})(?:\s+' + _TIME + r')?'
_WEEKLY = re.compile(
    rf'(?:([A-Za-z,\-\s]+?)\s*)?(?:\s|^)?(?:{_TIME}\s*-\s*{_TIME})?'
)
_DATED = re.compile(rf'{_DATE}(?:\s+to\s+{_DATE})?')
_MINUTES_A_DAY: Final = 24 * 60
#: days that are looked at, from the day before on: spans reach over midnight
_AHEAD_DAYS: Final = 9
#: spans after each other that are looked at for when a place opens
_MOST_SPANS: Final = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Weekly:
    """The same hours of some days of every week.

    :ivar days: 0 for Monday
    :ivar start: in minutes after midnight
    :ivar end: likewise; at or before *start* it is on the next day
    """

    days: frozenset[int]
    start: int
    end: int
    text: str

    def between(
        self, first: datetime.date, zone: datetime.tzinfo
    ) -> collections.abc.Iterator[tuple[float, float]]:
        """Go through the spans of the days from *first* on, as seconds."""
        for ahead in range(_AHEAD_DAYS):
            day = first + datetime.timedelta(days=ahead)
            if day.weekday() not in self.days:
                continue
            end = self.end
            if end <= self.start:
                end += _MINUTES_A_DAY
            yield from wall_clock.spans(
                _on_clock(day, self.start), _on_clock(day, end), zone
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Dated:
    """One span of time, in local time."""

    start: tuple[datetime.date, int]
    end: tuple[datetime.date, int]
    text: str

    def between(
        self, first: datetime.date, zone: datetime.tzinfo
    ) -> collections.abc.Iterator[tuple[float, float]]:
        """Return it as seconds."""
        del first
        yield from wall_clock.spans(
            _on_clock(*self.start), _on_clock(*self.end), zone
        )


Span = Weekly | Dated


def _on_clock(day: datetime.date, minutes: int) -> datetime.datetime:
    """Return what the clocks show, without a zone."""
    midnight = datetime.datetime.combine(day, datetime.time())
    return midnight + datetime.timedelta(minutes=minutes)


def parse(text: str) -> Span:
    """Read a span.

    :raises ValueError: in one line, when it is none
    """
    words = ' '.join(text.split())
    dated = _DATED.fullmatch(words)
    if dated is not None:
        return _dated(words, dated)
    weekly = _WEEKLY.fullmatch(words)
    if not words or weekly is None:
        raise ValueError(
            f'{text!r} is no span of time: write it as '
            "'Mon-Fri 22:00-06:00', 'Sat,Sun' or '2026-12-24 to 2027-01-02'"
        )
    names, *figures = weekly.groups()
    days = _days(names, text) if names else _ALL_DAYS
    if figures[0] is None:
        return Weekly(days, 0, _MINUTES_A_DAY, words)
    start = _minutes(figures[0], figures[1], text)
    end = _minutes(figures[2], figures[3], text)
    return Weekly(days, start, end, words)


def _minutes(hours: str, minutes: str, text: str) -> int:
    found = int(hours) * 60 + int(minutes)
    if found > _MINUTES_A_DAY or int(minutes) > 59:
        raise ValueError(f'{text!r}: {hours}:{minutes} is no time of a day')
    return found


def _days(names: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in names.split(','):
        ends = [_day(one, text) for one in part.split('-')]
        if len(ends) > 2:
            raise ValueError(f'{text!r}: {part.strip()} are no days')
        count = (ends[-1] - ends[0]) % 7 + 1
        found.update((ends[0] + more) % 7 for more in range(count))
    return frozenset(found)


def _day(name: str, text: str) -> int:
    short = name.strip().lower()[:3]
    if short not in _DAYS:
        raise ValueError(
            f'{text!r}: {name.strip()} is no day of the week: write Mon, '
            f'Tue, Wed, Thu, Fri, Sat or Sun'
        )
    return _DAYS.index(short)


def _dated(text: str, found: re.Match[str]) -> Dated:
    groups = found.groups()
    first, last = groups[:3], groups[3:]
    if last[0] is None:
        last = (first[0], None, None)
    start = _date(first[0], text)
    end = _date(last[0], text)
    begins = _minutes(first[1], first[2], text) if first[1] else 0
    ends = _minutes(last[1], last[2], text) if last[1] else _MINUTES_A_DAY
    if (end, ends) <= (start, begins):
        raise ValueError(f'{text!r}: it ends before it begins')
    return Dated((start, begins), (end, ends), text)


def _date(date: str | None, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(date or '')
    except ValueError:
        raise ValueError(f'{text!r}: {date} is no date') from None


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """When one place may be touched.

    :ivar windows: none of them: always
    :ivar freezes: never in these
    :ivar zone: the time zone in which both are meant
    """

    windows: tuple[Span, ...] = ()
    freezes: tuple[Span, ...] = ()
    zone: datetime.tzinfo = datetime.UTC

    def closed(self, now: float, for_seconds: float = 0.0) -> str:
        """Say why the place may not be touched; empty where it may.

        :param for_seconds: how long what is begun now will take
        """
        if not self.windows and not self.freezes:
            return ''
        frozen = self._holding(self.freezes, now)
        open_now = not self.windows or self._holding(self.windows, now)
        if frozen or not open_now:
            opens = self._opens(now)
            until = f'; opens {self._local(opens)}' if opens else ''
            if not frozen:
                texts = ', '.join(span.text for span in self.windows)
                return f'outside its change windows ({texts}){until}'
            thaws = self._thaws(now)
            if thaws is None:
                return f'frozen ({frozen[1]})'
            if thaws == opens:
                until = ''
            return f'frozen until {self._local(thaws)} ({frozen[1]}){until}'
        closes = self.closes(now)
        if now + for_seconds > closes:
            return (
                f'closes {self._local(closes)}, and it would take '
                f'{for_seconds:.0f} s'
            )
        return ''

    def closes(self, now: float) -> float:
        """Return when a place that is open closes; infinite if it does not.

        More than a week ahead is not looked for.
        """
        end = math.inf
        if self.windows:
            end = now
            spans = [
                one for span in self.windows for one in self._spans(span, now)
            ]
            while (later := _latest(spans, end)) > end:
                end = later
            last = now + (_AHEAD_DAYS - 2) * 86_400.0
            end = math.inf if end >= last else end
        starts = [
            start
            for span in self.freezes
            for start, _ in self._spans(span, now)
            if start > now
        ]
        return min([end, *starts])

    def _opens(self, now: float) -> float | None:
        """Return from when on the place may be touched; None if unknown.

        A window that opens in a freeze does not count.
        """
        for _ in range(_MOST_SPANS):
            thaws = self._thaws(now)
            if thaws is None or not self.windows:
                return thaws
            now = thaws
            if self._holding(self.windows, now):
                return now
            starts = [
                start
                for span in self.windows
                for start, _ in self._spans(span, now)
                if start > now
            ]
            if not starts:
                return None
            now = min(starts)
        return None

    def _thaws(self, now: float) -> float | None:
        """Return from when on nothing is frozen; None if that is far off."""
        for _ in range(_MOST_SPANS):
            frozen = self._holding(self.freezes, now)
            if frozen is None:
                return now
            now = frozen[0]
        return None

    def _holding(
        self, spans: collections.abc.Iterable[Span], now: float
    ) -> tuple[float, str] | None:
        """Return the end of the first of *spans* that holds *now*, and it."""
        for span in spans:
            for start, end in self._spans(span, now):
                if start <= now < end:
                    return end, span.text
        return None

    def _spans(self, span: Span, now: float) -> list[tuple[float, float]]:
        today = datetime.datetime.fromtimestamp(now, self.zone).date()
        before = today - datetime.timedelta(days=1)
        return list(span.between(before, self.zone))

    def _local(self, moment: float) -> str:
        local = datetime.datetime.fromtimestamp(moment, self.zone)
        return f'{local:%Y-%m-%d %H:%M} {local.tzname()}'


def _latest(
    spans: collections.abc.Iterable[tuple[float, float]], now: float
) -> float:
    """Return until when the spans that hold *now* go on."""
    return max((end for start, end in spans if start <= now < end), default=0)


@dataclasses.dataclass(frozen=True, slots=True)
class Schedules:
    """Schedules by zone, and of all zones that have none of their own."""

    default: Schedule = Schedule()
    zones: collections.abc.Mapping[str, Schedule] = dataclasses.field(
        default_factory=dict
    )

    @property
    def aggregates(self) -> collections.abc.Mapping[str, Schedule]:
        """Schedules by aggregate: there are none."""
        return {}

    def of(self, zone: str) -> Schedule:
        """Return the schedule of *zone*."""
        return self.zones.get(zone, self.default)

    def closed(self, zone: str, now: float, for_seconds: float = 0.0) -> str:
        """Say why *zone* may not be touched; empty where it may."""
        why = self.of(zone).closed(now, for_seconds)
        return f'{_name(zone)} is {why}' if why else ''

    def objection(
        self,
        fleet: 'columns.Fleet',
        moves: collections.abc.Sequence[plan.Move],
        now: float,
    ) -> str:
        """Say why *moves* are not to begin now; empty where they may.

        :param moves: from one host; they may have to wait for one another
        """
        row = fleet.host_row.get(moves[0].source)
        zone = '' if row is None else fleet.zones[fleet.hosts.zone[row]]
        seconds = sum(one.prediction.total_seconds for one in moves)
        return self.closed(zone, now, seconds)

    def all_closed(
        self, zones: collections.abc.Iterable[str], now: float
    ) -> dict[str, str]:
        """Return the zones that may not be touched, and why."""
        found = {zone: self.closed(zone, now) for zone in zones}
        return {zone: why for zone, why in found.items() if why}


def _name(zone: str) -> str:
    return f'zone {zone}' if zone else 'the fleet'
