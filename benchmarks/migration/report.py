"""How a benchmark is told: a table for people, a line of JSON for machines."""

import dataclasses
import json
import sys
import time

from rich import console
from rich import table

Cell = str | float | int | bool | None


@dataclasses.dataclass(slots=True)
class Report:
    """What one benchmark has found.

    :ivar aim: what is to be reached, in words
    :ivar reached: None where there is nothing to reach
    :ivar identical: what two identical runs differ by, in words
    :ivar rows: one dictionary each, with the same keys
    """

    name: str
    title: str
    aim: str
    identical: str = ''
    reached: bool | None = None
    rows: list[dict[str, Cell]] = dataclasses.field(default_factory=list)
    figures: dict[str, Cell] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    began: float = dataclasses.field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Tell how far it is, on standard error."""
        seconds = time.monotonic() - self.began
        print(f'{self.name} [{seconds:5.0f} s] {line}', file=sys.stderr)

    def show(self) -> None:
        """Print it."""
        seconds = time.monotonic() - self.began
        shown = table.Table(title=self.title)
        for heading in self.rows[0] if self.rows else ():
            shown.add_column(heading, justify='right')
        for row in self.rows:
            shown.add_row(*(_text(cell) for cell in row.values()))
        out = console.Console(width=None if sys.stdout.isatty() else 120)
        out.print(shown)
        words = {True: 'reached', False: 'NOT reached', None: 'reported'}
        for name, cell in self.figures.items():
            out.print(f'{name}: {_text(cell)}')
        out.print(f'aim: {self.aim}: {words[self.reached]}')
        out.print(f'two identical runs differ by {self.identical}')
        for note in self.notes:
            out.print(f'note: {note}')
        told = dataclasses.asdict(self)
        told['seconds'] = round(seconds, 1)
        del told['began']
        print(json.dumps(told), flush=True)


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return 'yes' if cell else 'no'
    if isinstance(cell, float):
        return f'{cell:.3g}' if abs(cell) < 10 else f'{cell:.1f}'
    return '' if cell is None else str(cell)
