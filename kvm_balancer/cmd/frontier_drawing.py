"""A plan's frontier drawn for a terminal: gain against moves and GiB.

Moves run from left to right; what is left for each policy to do stands above
what has been copied until then. Returns lines of words with styles, which
:func:`.drawing.emit` prints.
"""

import collections.abc
import math
import shutil
from typing import Any
from typing import TextIO

from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import frontier_view

#: What the names and figures at the left take, and the least of a drawing.
_GUTTER = 12
_LEAST_WIDTH = 24
_FAINT = 'bright_black'
#: A drawing of fewer moves says nothing that the table does not.
_FEWEST = 3
#: Lines of what stands alone, and of one of several.
_HIGH, _LOW = 6, 3

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
    moves = [0, *(point['moves'] for point in points)]
    gib = [
        0.0,
        *(point['mib'] / frontier_view.MIB_PER_GIB for point in points),
    ]
    columns = min(
        max(width - _GUTTER - 2, _LEAST_WIDTH),
        max(moves[-1] + 1, _LEAST_WIDTH),
    )
    places = [_place(moves, columns, column) for column in range(columns)]
    lines: list[drawing.Line] = [[]]
    served = [
        one
        for one in frontier_view.purposes_of(plan)
        if one.before != one.after
    ]
    height = _HIGH if len(served) == 1 else _LOW
    for one in served:
        left = (frontier_view.left_of(point, one) for point in points)
        amounts = [one.before, *left]
        lines += _panel(
            one.policy,
            [amounts[place] for place in places],
            height,
            one.amount,
            'cyan',
            glyphs,
        )
    copied = [gib[place] for place in places]
    lines += _panel(
        'GiB copied', copied, _LOW, '{:,.0f}'.format, 'green', glyphs
    )
    return [*lines, *_axis(moves[-1], columns, glyphs)]


def show(plan: Row, out: TextIO) -> None:
    """Draw a plan document below its table."""
    width = shutil.get_terminal_size().columns
    drawing.emit(draw(plan, width, drawing.glyphs_of(out)), out)


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
    label: collections.abc.Callable[[float], str],
    style: str,
    glyphs: drawing.Glyphs,
) -> collections.abc.Iterator[drawing.Line]:
    top = max(values) or 1.0
    levels = len(glyphs.blocks) - 1
    heights = [math.ceil(levels * height * value / top) for value in values]
    for row in range(height):
        floor = levels * (height - 1 - row)
        words = {0: label(top), 1: name[: _GUTTER - 1]}.get(row, '')
        bars = ''.join(
            glyphs.blocks[min(max(one - floor, 0), levels)] for one in heights
        )
        yield [
            (f'{words:>{_GUTTER - 1}} ', ''),
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
