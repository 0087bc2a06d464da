"""A migration drawn over time, for a terminal.

Panels one below the other share the axis of time: what is left, bandwidth,
dirty rate and throttle, as columns of blocks. Decisions stand above them by
the numbers that they have in the story, states below. Returns lines of words
with styles and prints nothing but by :func:`emit`; colours never carry a
meaning alone, and where a terminal has no blocks plain ASCII does.
"""

import bisect
import collections.abc
import dataclasses
import math
from typing import TextIO

from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import track as tracks

#: Words and their styles, as rich has them.
Line = list[tuple[str, str]]

#: What the names and figures at the left take, and the axis after them.
_GUTTER = 12
_LEAST_WIDTH = 24
#: A figure from here on is told in the next larger unit.
_WIDEST = 9_999.5
_FAINT = 'bright_black'
_LANES = 4
#: From this state on the guest runs on the destination.
_POST_COPY = states.State.POST_COPY
#: Seconds between two ticks of the axis.
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800),
)
_BETWEEN_TICKS = 11


@dataclasses.dataclass(frozen=True, slots=True)
class Glyphs:
    """What a drawing is made of.

    :ivar blocks: from empty to full
    """

    blocks: str
    axis: str
    floor: str
    corner: str
    tick: str
    guide: str
    mark: str


BLOCKS = Glyphs(' ▁▂▃▄▅▆▇█', '│', '─', '└', '┬', '┊', '▴')
ASCII = Glyphs(' .:#', '|', '-', '+', '+', ':', '^')


@dataclasses.dataclass(frozen=True, slots=True)
class _Panel:
    """One figure over time.

    :ivar top: the value of a full column
    :ivar steady: holds from one point to the next; else it goes straight
    :ivar until: nothing is known of it from then on
    """

    name: str
    unit: str
    values: collections.abc.Sequence[float]
    height: int
    style: str
    top: float
    steady: bool = True
    until: float = math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class _Axis:
    """Time, cut into the columns of the drawing."""

    seconds: float
    columns: int

    def column(self, seconds: float) -> int:
        """Return where a moment is drawn."""
        share = seconds / self.seconds if self.seconds else 0.0
        return min(int(share * self.columns), self.columns - 1)

    def moment(self, column: int) -> float:
        """Return when a column begins."""
        return self.seconds * column / self.columns


def draw(
    track: tracks.Track,
    story: collections.abc.Iterable[outcome.StoryLine],
    width: int,
    glyphs: Glyphs = BLOCKS,
) -> list[Line]:
    """Return the drawing of a track; nothing where nothing was seen.

    :param story: its decisions are marked
    :param width: of the terminal, in columns
    """
    if not len(track):
        return []
    ends = [*track.seconds, *(mark.seconds for mark in track.states)]
    axis = _Axis(max(ends), max(width - _GUTTER - 2, _LEAST_WIDTH))
    decisions = [
        (line.decision, axis.column(max(line.at - track.begun_at, 0.0)))
        for line in story
        if line.decision
    ]
    lines = _numbers(decisions, axis)
    guides = {column for _, column in decisions}
    for panel in _panels(track):
        lines += _drawn(panel, track, axis, guides, glyphs)
        lines.append([])
    lines[-1:] = _times(axis, glyphs)
    return lines + _states(track.states, axis, glyphs)


def emit(lines: list[Line], stream: TextIO) -> None:
    """Print a drawing, in colours where *stream* is a terminal."""
    if not stream.isatty():
        for line in lines:
            stream.write(''.join(word for word, _ in line).rstrip() + '\n')
        return
    # rich takes a moment to load, which only a terminal has use for.
    from rich import console
    from rich import text

    out = console.Console(file=stream, highlight=False)
    for line in lines:
        out.print(text.Text.assemble(*line), no_wrap=True, overflow='crop')


def glyphs_of(stream: TextIO) -> Glyphs:
    """Return what *stream* can show."""
    wanted = ''.join(
        getattr(BLOCKS, field.name) for field in dataclasses.fields(BLOCKS)
    )
    try:
        wanted.encode(stream.encoding or 'ascii')
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def _panels(track: tracks.Track) -> collections.abc.Iterator[_Panel]:
    def top(*columns: collections.abc.Sequence[float]) -> float:
        return max(1.0, *(max(column) for column in columns))

    for name, left in (
        ('disks left', track.disk_remaining_mib),
        ('memory left', track.remaining_mib),
    ):
        if any(left):
            yield _Panel(name, 'MiB', left, 6, 'cyan', top(left), steady=False)
    # On one scale: a copy gets nowhere where the second is above the first.
    most = top(track.bandwidth_mib_s, track.dirty_rate_mib_s)
    # The source tells its last figures for ever, of a guest that has left it.
    left_at = next(
        (mark.seconds for mark in track.states if mark.state == _POST_COPY),
        math.inf,
    )
    for name, rate, style, until in (
        ('bandwidth', track.bandwidth_mib_s, 'green', math.inf),
        ('dirtied', track.dirty_rate_mib_s, 'magenta', left_at),
    ):
        if any(rate):
            yield _Panel(name, 'MiB/s', rate, 3, style, most, until=until)
    if any(track.throttle_percent):
        yield _Panel(
            *('throttle', '%', track.throttle_percent, 2, 'yellow', 100.0),
            until=left_at,
        )


def _drawn(
    panel: _Panel,
    track: tracks.Track,
    axis: _Axis,
    guides: set[int],
    glyphs: Glyphs,
) -> list[Line]:
    levels = len(glyphs.blocks) - 1
    heights = [
        None
        if value is None
        # What is there is seen, however little it is.
        else math.ceil(levels * panel.height * value / panel.top)
        for value in _sampled(panel, track.seconds, axis)
    ]
    lines: list[Line] = []
    for row in range(panel.height):
        floor = levels * (panel.height - 1 - row)
        line: Line = [(_label(panel, row), ''), (glyphs.axis, _FAINT)]
        for column, height in enumerate(heights):
            level = min(max((height or 0) - floor, 0), levels)
            if not level and column in guides:
                line.append((glyphs.guide, _FAINT))
            else:
                line.append((glyphs.blocks[level], panel.style))
        lines.append(line)
    return lines


def _label(panel: _Panel, row: int) -> str:
    if row == 1:
        return f'{panel.name:>{_GUTTER - 1}} '
    top, unit = panel.top, panel.unit
    for larger in ('GiB', 'TiB'):
        if top >= _WIDEST and panel.unit != '%':
            top, unit = top / 1024.0, panel.unit.replace('MiB', larger)
    word = '' if row else f'{top:,.0f} {unit}'
    return f'{word:>{_GUTTER - 1}} '


def _sampled(
    panel: _Panel, seconds: collections.abc.Sequence[float], axis: _Axis
) -> list[float | None]:
    """Return the highest value in each column; None where none was seen."""
    found: list[float | None] = []
    for column in range(axis.columns):
        start, end = axis.moment(column), axis.moment(column + 1)
        if start >= panel.until:
            found.append(None)
            continue
        end = min(end, panel.until)
        first = bisect.bisect_left(seconds, start)
        last = bisect.bisect_left(seconds, end)
        if column == axis.columns - 1 and panel.until > axis.seconds:
            last = len(seconds)
        inside = list(panel.values[first:last])
        if 0 < first < len(seconds):
            inside.append(_between(panel, seconds, first, start))
        found.append(max(inside, default=None))
    return found


def _between(
    panel: _Panel,
    seconds: collections.abc.Sequence[float],
    after: int,
    moment: float,
) -> float:
    """Return the value at a moment before the point *after*."""
    before = after - 1
    low, high = panel.values[before], panel.values[after]
    gap = seconds[after] - seconds[before]
    # What rises between two looks has risen at the end of a pass.
    if panel.steady or high > low or not gap:
        return low
    return low + (high - low) * (moment - seconds[before]) / gap


def _numbers(decisions: list[tuple[int, int]], axis: _Axis) -> list[Line]:
    """Return the line of the decisions' numbers, side by side if need be."""
    if not decisions:
        return []
    cells = [' '] * (axis.columns + 1)
    free = 0
    for number, column in decisions:
        word = str(number)
        start = max(column, free)
        if start + len(word) > axis.columns:
            break
        cells[start : start + len(word)] = word
        free = start + len(word) + 1
    return [
        [
            (f'{"decisions":>{_GUTTER - 1}}  ', _FAINT),
            (''.join(cells), 'bold red'),
        ]
    ]


def _times(axis: _Axis, glyphs: Glyphs) -> list[Line]:
    """Return the axis of time with its ticks, and their moments."""
    least = axis.seconds * _BETWEEN_TICKS / axis.columns
    step = next((one for one in _STEPS if one >= least), _STEPS[-1])
    floor = [glyphs.floor] * axis.columns
    words = [' '] * (axis.columns + _BETWEEN_TICKS)
    for tick in range(int(axis.seconds / step) + 1 if axis.seconds else 1):
        column = axis.column(tick * step)
        word = duration(tick * step)
        if column + len(word) > axis.columns and tick:
            break
        floor[column] = glyphs.tick
        words[column : column + len(word)] = word
    corner = ' ' * _GUTTER + glyphs.corner
    return [
        [(corner + ''.join(floor), _FAINT)],
        [(' ' * (_GUTTER + 1) + ''.join(words).rstrip(), '')],
    ]


def _states(
    marks: collections.abc.Sequence[tracks.Mark], axis: _Axis, glyphs: Glyphs
) -> list[Line]:
    """Return lanes with the names of the states where they begin."""
    groups: list[tuple[int, list[str]]] = []
    for mark in marks:
        column = axis.column(mark.seconds)
        if groups and column - groups[-1][0] <= 1:
            groups[-1][1].append(mark.state)
        else:
            groups.append((column, [mark.state]))
    lanes: list[str] = []
    for column, names in groups:
        word = ', '.join(names)[: axis.columns - 1]
        start, word = column, glyphs.mark + word
        if start + len(word) > axis.columns:
            word = word[1:] + glyphs.mark
            start = max(column + 1 - len(word), 0)
        for lane, taken in enumerate(lanes):
            if len(taken) < max(start, 1):
                lanes[lane] = taken.ljust(start) + word
                break
        else:
            lanes.append(' ' * start + word)
    margin = ' ' * (_GUTTER + 1)
    return [[(margin + lane, 'bold')] for lane in lanes[:_LANES]]


def duration(seconds: float) -> str:
    """Show a time that passed, short."""
    if seconds < 60.0:
        return f'{seconds:.{0 if seconds >= 10 else 1}f} s'.replace(
            '.0 s', ' s'
        )
    if seconds < 3600.0:
        minutes, left = divmod(round(seconds), 60)
        return f'{minutes}:{left:02} min' if left else f'{minutes} min'
    hours, left = divmod(round(seconds / 60.0), 60)
    return f'{hours}:{left:02} h' if left else f'{hours} h'
