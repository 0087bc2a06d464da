"""The days and weeks of many things: what each uses at which time of day.

Kept small, so that an agent has it for 200,000 instances: a day is cut into
half hours, and of each there is one byte, the logarithm of what is usual
then; a handful of bytes more say how far off that is, and how each day of
the week compares to others. Each half hour is averaged before it counts, and
one in which too little was heard does not count at all: missing is missing,
and not zero.

Owns rows of numbers; what a row stands for is its owner's. Days are those of
UTC: a peak at the same local time stays at the same place until clocks are
changed, and is learned anew then.
"""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet

Rows = npt.NDArray[np.intp]
_Codes = npt.NDArray[np.uint8]

SLOT_SECONDS: Final = 1800.0
SLOTS: Final = 48
_DAY_SECONDS: Final = 86_400.0
_DAYS: Final = 7
#: The epoch began on a Thursday.
_FIRST_WEEKDAY: Final = 3
#: Slots that share one deviation.
_SPAN: Final = 6
#: Share of the way to what was seen that a level goes, and a deviation.
_SHARE: Final = 0.4
#: The same of a day of the week, of which there is one in seven.
_WEEK_SHARE: Final = 0.5
#: Share of a slot that must have been heard of.
_HEARD: Final = 0.3
#: Days before anything is foretold.
LEAST_DAYS: Final = 2
_MOST_DAYS: Final = 255

#: A code c stands for LEAST (2^((c - 1) / PER_OCTAVE) - 1); 0 is unknown.
_LEAST: Final = 0.01
_PER_OCTAVE: Final = 16.0
_LEVELS: Final = np.concatenate(
    (
        [0.0],
        _LEAST * (2.0 ** (np.arange(255) / _PER_OCTAVE) - 1.0),
    )
).astype(np.float32)
#: Factors of weekdays, in 64ths.
_EVEN: Final = 64


def encode(values: fleet.Floats) -> _Codes:
    """Return the codes of values of 0 or more; 3 % off at most."""
    octaves = np.log2(1.0 + values / _LEAST)
    codes: _Codes = np.clip(
        np.rint(1.0 + _PER_OCTAVE * octaves), 1, 255
    ).astype(np.uint8)
    return codes


def decode(codes: _Codes) -> fleet.Floats:
    """Return what codes stand for; 0 for unknown."""
    values: fleet.Floats = _LEVELS[codes].astype(np.float64)
    return values


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is to be expected at some moment; all of shape ``(rows,)``.

    :ivar known: False where there is not enough history
    :ivar mean: of half an hour
    :ivar deviation: by how much it is off, as a rule
    """

    known: fleet.Bools
    mean: fleet.Floats
    deviation: fleet.Floats


class Shapes:
    """For each row its day, its week, and the day as it went so far."""

    #: columns that outlive a restart, and their widths
    COLUMNS: Final = {
        'levels': SLOTS,
        'deviations': SLOTS // _SPAN,
        'weekdays': _DAYS,
        'days': 1,
        'today': SLOTS,
    }

    def __init__(self) -> None:
        self._columns: dict[str, _Codes] = {
            name: np.zeros((0, width), np.uint8)
            for name, width in self.COLUMNS.items()
        }
        self._sum = np.zeros(0, np.float32)
        self._seconds = np.zeros(0, np.float32)
        #: of the slot that is under way, since the epoch; -1 for none
        self.slot = -1

    def __len__(self) -> int:
        return len(self._sum)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all rows take."""
        columns = sum(one.nbytes for one in self._columns.values())
        return columns + self._sum.nbytes + self._seconds.nbytes

    def grow(self, rows: int) -> None:
        """Make room for *rows* rows in all."""
        more = rows - len(self)
        for name, column in self._columns.items():
            fill = _EVEN if name == 'weekdays' else 0
            added = np.full((more, column.shape[1]), fill, np.uint8)
            self._columns[name] = np.concatenate((column, added))
        nothing = np.zeros(more, np.float32)
        self._sum = np.concatenate((self._sum, nothing))
        self._seconds = np.concatenate((self._seconds, nothing))

    def clear(self, rows: Rows) -> None:
        """Forget all about *rows*."""
        for name, column in self._columns.items():
            column[rows] = _EVEN if name == 'weekdays' else 0
        self._sum[rows] = 0.0
        self._seconds[rows] = 0.0

    def add(
        self,
        rows: Rows,
        readings: fleet.Floats,
        seconds: fleet.Floats,
        now: float,
    ) -> bool:
        """Take one reading for each of *rows*, none of them twice.

        :param seconds: the time over which each was taken
        :param now: seconds since the epoch
        :returns: whether a slot has ended with it
        """
        slot = int(now // SLOT_SECONDS)
        ended = slot != self.slot and self.slot >= 0
        if ended:
            self._fold()
            self._pass_over(slot)
        self.slot = slot
        self._sum[rows] += (readings * seconds).astype(np.float32)
        self._seconds[rows] += seconds.astype(np.float32)
        return ended

    def outlook(self, rows: Rows, moment: float) -> Outlook:
        """Return what is to be expected of *rows* at a moment.

        :param moment: seconds since the epoch
        """
        slot = int(moment // SLOT_SECONDS)
        place = slot % SLOTS
        codes = self._columns['levels'][rows, place]
        week = self._columns['weekdays'][rows, _weekday(slot)] / _EVEN
        span = self._columns['deviations'][rows, place // _SPAN]
        days = self._columns['days'][rows, 0]
        return Outlook(
            (codes > 0) & (days >= LEAST_DAYS),
            decode(codes) * week,
            decode(span),
        )

    def day(self, rows: Rows) -> fleet.Floats:
        """Return the day as it went so far; NaN where nothing was heard.

        :returns: shape ``(len(rows), SLOTS)``
        """
        codes = self._columns['today'][rows]
        found: fleet.Floats = np.where(codes > 0, decode(codes), np.nan)
        return found

    def packed(self, rows: Rows) -> dict[str, bytes]:
        """Return what is to be kept of *rows*, by column."""
        return {
            name: column[rows].tobytes()
            for name, column in self._columns.items()
        }

    def unpack(self, rows: Rows, kept: dict[str, bytes]) -> None:
        """Take over what was kept, for as many rows.

        :raises ValueError: when it is of another size
        """
        taken = {
            name: np.frombuffer(kept[name], np.uint8).reshape(len(rows), width)
            for name, width in self.COLUMNS.items()
        }
        for name, values in taken.items():
            self._columns[name][rows] = values

    def _fold(self) -> None:
        """Let the slot that is over count."""
        place = self.slot % SLOTS
        rows = np.flatnonzero(self._seconds >= _HEARD * SLOT_SECONDS)
        mean = (self._sum[rows] / self._seconds[rows]).astype(np.float64)
        self._sum[:] = 0.0
        self._seconds[:] = 0.0
        today = self._columns['today']
        today[:, place] = 0
        today[rows, place] = encode(mean)
        if len(rows):
            self._learn(rows, mean, place)
        if place == SLOTS - 1:
            self._end_day()

    def _pass_over(self, slot: int) -> None:
        """Take nothing for what was used while nobody was heard of."""
        for missed in range(self.slot + 1, min(slot, self.slot + SLOTS)):
            self._columns['today'][:, missed % SLOTS] = 0

    def _learn(self, rows: Rows, mean: fleet.Floats, place: int) -> None:
        levels = self._columns['levels']
        deviations = self._columns['deviations']
        week = self._columns['weekdays'][rows, _weekday(self.slot)] / _EVEN
        before = levels[rows, place]
        known = before > 0
        level = decode(before)
        off = np.abs(mean - level * week)
        spread = deviations[rows, place // _SPAN]
        spread[known] = _towards(spread, off)[known]
        deviations[rows, place // _SPAN] = spread
        plain = mean / np.maximum(week, 0.1)
        levels[rows, place] = np.where(
            known, _towards(before, plain), encode(plain)
        )

    def _end_day(self) -> None:
        """Compare the day that is over to others, and begin a new one."""
        today, levels = self._columns['today'], self._columns['levels']
        days = self._columns['days'][:, 0]
        heard = np.count_nonzero(today, axis=1) >= SLOTS // 2
        rows = np.flatnonzero(heard & (days >= LEAST_DAYS))
        if len(rows):
            used = decode(today[rows]).sum(axis=1)
            usual = np.where(today[rows] > 0, decode(levels[rows]), 0.0).sum(
                axis=1
            )
            column = self._columns['weekdays']
            weekday = _weekday(self.slot)
            ratio = np.clip(used / np.maximum(usual, _LEAST), 0.1, 3.9)
            old = column[rows, weekday] / _EVEN
            new = old + _WEEK_SHARE * (ratio - old)
            column[rows, weekday] = np.rint(new * _EVEN)
        self._columns['days'][heard, 0] = np.minimum(
            days[heard] + 1.0, _MOST_DAYS
        )


def day_in(codes: bytes) -> fleet.Floats:
    """Return the days that a column ``today`` holds; NaN for unknown.

    :returns: shape ``(instances, SLOTS)``
    """
    found = np.frombuffer(codes, np.uint8).reshape(-1, SLOTS)
    days: fleet.Floats = np.where(found > 0, decode(found), np.nan)
    return days


def _towards(codes: _Codes, seen: fleet.Floats) -> _Codes:
    """Move codes part of the way to what was seen, a step at the least."""
    old = decode(codes)
    target = encode(seen).astype(np.int16)
    moved = encode(old + _SHARE * (seen - old)).astype(np.int16)
    step = np.sign(target - codes.astype(np.int16))
    stuck = moved == codes
    found: _Codes = np.where(stuck, codes + step, moved).astype(np.uint8)
    return found


def _weekday(slot: int) -> int:
    """Return the day of the week of a slot, 0 for Monday."""
    return (slot // SLOTS + _FIRST_WEEKDAY) % _DAYS


def foreseen(
    usage: fleet.Floats,
    outlook: Outlook,
    host: fleet.Ints,
    hosts: int,
    caution: float,
) -> fleet.Floats:
    """Return the usage to plan with: as it is, or as it will be if higher.

    Deviations of instances cancel out in part: that of a host is the root of
    the sum of their squares. Each instance bears the part of it that its own
    square has in that sum, so that their sum on a host is what the host is
    to be prepared for.

    :param host: of each instance, by row
    :param hosts: how many there are
    :param caution: deviations of a host that are added to its mean
    """
    square = np.where(outlook.known, outlook.deviation, 0.0) ** 2
    total = np.bincount(host, weights=square, minlength=hosts)[host]
    margin = np.where(
        total > 0.0, square / np.sqrt(np.maximum(total, 1e-12)), 0.0
    )
    ahead = outlook.mean + caution * margin
    found: fleet.Floats = np.where(
        outlook.known, np.maximum(usage, ahead), usage
    )
    return found
