"""How rows and records are shown: short to people, whole to programs.

A table for people has short titles, units and identifiers that fit in 80 to
100 columns. Every other format has all the keys of the agent's answer, raw.
"""

import argparse
import collections.abc
import dataclasses
import datetime
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
_LEAST_WIDTH = 40


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


def one_per_line(
    lines: collections.abc.Iterable[str], margin: int = _RECORD_MARGIN
) -> str:
    """Wrap *lines* to what a table leaves of this terminal.

    :param margin: columns that go to the frame and to other cells
    """
    width = max(shutil.get_terminal_size().columns - margin, _LEAST_WIDTH)
    return '\n'.join(
        '\n'.join(textwrap.wrap(line, width, subsequent_indent='  '))
        for line in lines
    )


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table, or one field of a record.

    :ivar key: of the agent's row
    :ivar right: numbers stand on the right
    """

    key: str
    title: str
    show: collections.abc.Callable[[Any], str] = text
    right: bool = False


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
    ) -> tuple[list[str], list[list[Any]]]:
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
            [column.show(row.get(column.key)) for column in columns],
        )
    return list(row), list(row.values())


def _shown(
    columns: collections.abc.Sequence[Column], rows: list[Row]
) -> list[list[Any]]:
    """Return the cells of a table, numbers padded to stand on the right."""
    cells = [
        [column.show(row.get(column.key)) for column in columns]
        for row in rows
    ]
    for place, column in enumerate(columns):
        if column.right:
            width = max((len(line[place]) for line in cells), default=0)
            width = max(width, len(column.title))
            for line in cells:
                line[place] = line[place].rjust(width)
    return cells
