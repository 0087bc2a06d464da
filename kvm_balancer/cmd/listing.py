"""How rows and records are shown: short to people, whole to programs.

A table for people has short titles, units and identifiers, and fits its
terminal: long names lose their middle. Every other format has all the keys of
the agent's answer, raw.
"""

import argparse
import collections.abc
import dataclasses
import datetime
import re
import shutil
import textwrap
from typing import Any

from cliff import lister
from cliff import show

from kvm_balancer.cmd import cli

Row = dict[str, Any]

#: Enough of an id to tell it from any other of a fleet; commands that take
#: an id take its beginning as well.
_SHORT_ID = 8
_NOTHING = '-'
#: What the frame and the field names of a record leave to its values.
_RECORD_MARGIN = 26
_LEAST_WIDTH = 18
#: No name is made shorter than this, however narrow the terminal is.
_LEAST_NAME = 7
#: What stands between two cells, and at both ends of a line.
_BETWEEN = 3
_ENDS = 4


def text(value: Any) -> str:
    """Show *value* as it is; a dash where there is none."""
    if value is None or value == '':
        return _NOTHING
    return str(value)


def short_id(value: Any) -> str:
    """Show the beginning of an id."""
    return text(value)[:_SHORT_ID]


def number(digits: int) -> collections.abc.Callable[[Any], str]:
    """Make a function that shows a number with so many decimals."""

    def shown(value: Any) -> str:
        return _NOTHING if value is None else f'{float(value):,.{digits}f}'

    return shown


def percent(value: Any) -> str:
    """Show a share of 1 in per cent."""
    return _NOTHING if value is None else f'{float(value):.0%}'


def yes(value: Any) -> str:
    """Show a truth value."""
    return 'yes' if value else 'no'


def local_time(value: Any) -> str:
    """Show a time, seconds since the epoch, in the reader's time zone."""
    if value is None:
        return _NOTHING
    return datetime.datetime.fromtimestamp(float(value)).strftime(
        '%Y-%m-%d %H:%M:%S'
    )


def short_time(value: Any) -> str:
    """Show a time to the minute, without its year."""
    return local_time(value)[5:16] or _NOTHING


def natural(name: Any) -> list[tuple[int, str]]:
    """Return what sorts names as people do: host-2 before host-10."""
    return [
        (int(part), '') if part.isdecimal() else (-1, part)
        for part in re.split(r'(\d+)', text(name))
        if part
    ]


def room(margin: int = _RECORD_MARGIN) -> int:
    """Return how many columns a table leaves to values on this terminal.

    :param margin: columns that go to the frame and to other cells
    """
    return max(shutil.get_terminal_size().columns - margin, _LEAST_WIDTH)


def one_per_line(
    lines: collections.abc.Iterable[str], margin: int = _RECORD_MARGIN
) -> str:
    """Wrap *lines* to what a table leaves of this terminal.

    :param margin: columns that go to the frame and to other cells
    """
    width = room(margin)
    return '\n'.join(
        '\n'.join(textwrap.wrap(line, width, subsequent_indent='  '))
        for line in lines
    )


def wrapped(title: str, width: int) -> str:
    """Wrap the name of a field to *width*; a long word stays whole."""
    return '\n'.join(textwrap.wrap(title, width, break_long_words=False))


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table, or one field of a record.

    :ivar key: of the agent's row
    :ivar right: numbers stand on the right
    :ivar shrinks: its cells lose their middle where the table is too wide
    :ivar of_row: shows it from all of the row, in place of *show*
    """

    key: str
    title: str
    show: collections.abc.Callable[[Any], str] = text
    right: bool = False
    shrinks: bool = False
    of_row: collections.abc.Callable[[Row], str] | None = None

    def cell(self, row: Row) -> str:
        """Return what is shown of *row*."""
        if self.of_row is not None:
            return self.of_row(row)
        return self.show(row.get(self.key))


def name(key: str, title: str) -> Column:
    """Make the column of a name, of whatever length."""
    return Column(key, title, shrinks=True)


def count(key: str, title: str, digits: int = 0) -> Column:
    """Make the column of a number."""
    return Column(key, title, number(digits), right=True)


class Listing(lister.Lister):
    """A command that prints rows."""

    app: cli.Application
    columns: collections.abc.Sequence[Column] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.set_defaults(print_empty=True)
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of this command."""

    def rows(self, parsed_args: argparse.Namespace) -> list[Row]:
        """Return what is to be shown."""
        raise NotImplementedError

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[list[str], collections.abc.Sequence[list[Any]]]:
        rows = self.rows(parsed_args)
        if parsed_args.formatter == 'table':
            return (
                [column.title for column in self.columns],
                _shown(self.columns, rows),
            )
        keys = list(rows[0]) if rows else [one.key for one in self.columns]
        return keys, [[row.get(key) for key in keys] for row in rows]


class Record(show.ShowOne):
    """A command that prints one record."""

    app: cli.Application
    columns: collections.abc.Sequence[Column] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of this command."""

    def record(self, parsed_args: argparse.Namespace) -> Row:
        """Return what is to be shown."""
        raise NotImplementedError

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[list[str], list[Any]]:
        row = self.record(parsed_args)
        return arranged(self.columns, row, parsed_args.formatter)


def arranged(
    columns: collections.abc.Sequence[Column], row: Row, formatter: str
) -> tuple[list[str], list[Any]]:
    """Return the names and values of one record for a formatter."""
    if formatter == 'table':
        return (
            [column.title for column in columns],
            [column.cell(row) for column in columns],
        )
    return list(row), list(row.values())


def _shown(
    columns: collections.abc.Sequence[Column], rows: list[Row]
) -> list[list[str]]:
    """Return the cells of a table, numbers padded to stand on the right."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    for place, column in enumerate(columns):
        if column.right:
            width = _width(column, place, cells)
            for line in cells:
                line[place] = line[place].rjust(width)
    _fit(columns, cells)
    return cells


def _width(column: Column, place: int, cells: list[list[str]]) -> int:
    lines = [part for line in cells for part in line[place].split('\n')]
    return max(len(part) for part in [column.title, *lines])


def _fit(
    columns: collections.abc.Sequence[Column], cells: list[list[str]]
) -> None:
    """Take from the longest names what is too much for this terminal."""
    widths = [
        _width(column, place, cells) for place, column in enumerate(columns)
    ]
    frame = _ENDS + _BETWEEN * (len(columns) - 1)
    excess = sum(widths) + frame - shutil.get_terminal_size().columns
    places = [place for place, column in enumerate(columns) if column.shrinks]
    for _ in range(excess):
        place = max(places, key=widths.__getitem__, default=None)
        if place is None or widths[place] <= _LEAST_NAME:
            break
        widths[place] -= 1
    for place in places:
        for line in cells:
            line[place] = _elided(line[place], widths[place])


def _elided(value: str, width: int) -> str:
    """Leave the middle of a name out: its ends tell it from others."""
    if len(value) <= width:
        return value
    head = width // 2
    return f'{value[:head]}…{value[head + 1 - width :]}'
