"""A plan's frontier drawn for a terminal: gain against moves and GiB.

Moves run from left to right; what is left of the spread stands above what
has been copied until then. Returns lines of words with styles, which
:func:`.drawing.emit` prints.
"""

import collections.abc
import math
from typing import Any

from kvm_balancer.cmd import drawing

#: What the names and figures at the left take, and the least of a drawing.
_GUTTER = 12
_LEAST_WIDTH = 24
_FAINT = 'bright_black'
_MIB_PER_GIB = 1024.0
#: A drawing of fewer moves says nothing that the table does not.
_FEWEST = 3

Row = dict[str, Any]


def draw(
    plan: Row, width: int, glyphs: drawing.Glyphs = drawing.BLOCKS
) -> list[drawing.Line]:
    """Return the drawing of a plan document; nothing where it is short.

    :param width: of the terminal, in columns
    """
    points: list[Row] = list(plan.get('frontier') or ())
    if len(points) < _FEWEST:
        return []
    start = (plan.get('before') or {}).get('cpu_stddev', 0.0)
    moves = [0, *(point['moves'] for point in points)]
    spread = [start, *(point['cpu_stddev'] for point in points)]
    gib = [0.0, *(point['mib'] / _MIB_PER_GIB for point in points)]
    columns = min(
        max(width - _GUTTER - 2, _LEAST_WIDTH),
        max(moves[-1] + 1, _LEAST_WIDTH),
    )
    places = [_place(moves, columns, column) for column in range(columns)]
    lines: list[drawing.Line] = [[]]
    for name, values, height, digits, style in (
        ('CPU spread', spread, 6, 3, 'cyan'),
        ('GiB copied', gib, 3, 0, 'green'),
    ):
        shown = [values[place] for place in places]
        lines += _panel(name, shown, height, digits, style, glyphs)
    return [*lines, *_axis(moves[-1], columns, glyphs)]


def _place(
    moves: collections.abc.Sequence[int], columns: int, column: int
) -> int:
    """Return the point that has been reached at a column."""
    made = round(moves[-1] * column / (columns - 1))
    return max(
        (place for place, count in enumerate(moves) if count <= made),
        default=0,
    )


def _panel(
    name: str,
    values: collections.abc.Sequence[float],
    height: int,
    digits: int,
    style: str,
    glyphs: drawing.Glyphs,
) -> collections.abc.Iterator[drawing.Line]:
    top = max(values) or 1.0
    levels = len(glyphs.blocks) - 1
    heights = [math.ceil(levels * height * value / top) for value in values]
    for row in range(height):
        floor = levels * (height - 1 - row)
        label = {0: f'{top:,.{digits}f}', 1: name}.get(row, '')
        bars = ''.join(
            glyphs.blocks[min(max(one - floor, 0), levels)] for one in heights
        )
        yield [
            (f'{label:>{_GUTTER - 1}} ', ''),
            (glyphs.axis, _FAINT),
            (bars, style),
        ]
    yield []


def _axis(
    last: int, columns: int, glyphs: drawing.Glyphs
) -> collections.abc.Iterator[drawing.Line]:
    yield [
        (' ' * _GUTTER + glyphs.corner + glyphs.floor * columns, _FAINT),
    ]
    words = f'{last:,} moves'
    gap = max(columns - len(words) - 1, 1)
    yield [(f'{" " * (_GUTTER + 1)}0{" " * gap}{words}', '')]
