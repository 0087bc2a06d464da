"""How a migration is shown while it runs, on standard error.

On a terminal a live view of where it is and where it is going; elsewhere a
line for every state, every pass and every decision. Standard output is left
to the outcome.
"""

import abc
import collections.abc
import contextlib
import sys
import time
from typing import Any
from typing import TextIO

from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import plan

_WIDTH = 80
_FAINT = 'bright_black'
#: How long it will stand still is no question once it has.
_BEFORE_THE_STOP = wording.ON_SOURCE | {states.State.SWITCHOVER}
#: Width of what stands before the figures.
_NAMES = 10


class Display(contextlib.AbstractContextManager['Display']):
    """Shows the progress of one migration; called from any thread."""

    def begin(self, name: str, wanted: request.Request) -> None:
        """Say what is going to be done, and what is expected of it."""
        said = f'{name} goes from {wanted.source} to {wanted.destination}'
        if wanted.predicted is not None:
            said += f'; predicted: {wording.prediction(wanted.predicted)}'
        self.note(said)

    @abc.abstractmethod
    def show(self, progress: instructions.ReportProgress) -> None:
        """Show how far it is."""

    @abc.abstractmethod
    def note(self, text: str) -> None:
        """Say something that stays."""


class Lines(Display):
    """A line for every state, every pass and every decision."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: tuple[str, int, int] | None = None

    def show(self, progress: instructions.ReportProgress) -> None:
        now = (
            progress.state,
            progress.statistics.iteration,
            progress.decisions,
        )
        if now == self._last:
            return
        self._last = now
        parts = filter(
            None,
            (
                wording.figures(progress),
                wording.ahead(progress),
                wording.news(progress),
            ),
        )
        self.note(f'{progress.state}: {"; ".join(parts)}'.rstrip(' :'))

    def note(self, text: str) -> None:
        self._stream.write(f'{text}\n')
        self._stream.flush()

    def __exit__(self, *why: object) -> None:
        """Leave nothing behind."""


class Live(Display):
    """A view of the present that leaves only notes behind."""

    def __init__(self, stream: TextIO) -> None:
        # rich takes a moment to load, which only a terminal has use for.
        from rich import console
        from rich import live

        self._began = time.monotonic()
        self._title = ''
        self._predicted: plan.Prediction | None = None
        self._now = instructions.ReportProgress(
            'requested', events.Statistics(), ''
        )
        self._console = console.Console(file=stream, highlight=False)
        self._live = live.Live(
            console=self._console,
            get_renderable=self._view,
            refresh_per_second=8,
            transient=True,
        )

    def begin(self, name: str, wanted: request.Request) -> None:
        super().begin(name, wanted)
        self._title = f'{name}  {wanted.source} -> {wanted.destination}'
        self._predicted = wanted.predicted
        # what was measured before is no part of it
        self._began = time.monotonic()
        self._live.start()

    def show(self, progress: instructions.ReportProgress) -> None:
        decided = progress.decisions > self._now.decisions
        self._now = progress
        if decided:
            self.note(f'[{progress.decisions}] {_decision(progress)}')

    def note(self, text: str) -> None:
        self._console.print(text, markup=False)

    def __exit__(self, *why: object) -> None:
        self._live.stop()

    def _view(self) -> Any:
        from rich import console

        width = min(self._console.width, _WIDTH)
        return console.Group(
            self._head(width), _bar(self._now, width), self._rows(width)
        )

    def _head(self, width: int) -> Any:
        from rich import table
        from rich import text

        seen = self._now.statistics
        state = self._now.state
        if state == 'pre-copy' and seen.iteration:
            state += f', pass {seen.iteration}'
        row = table.Table.grid(expand=True)
        row.width = width
        row.add_column(no_wrap=True, overflow='ellipsis', ratio=1)
        row.add_column(no_wrap=True, justify='right')
        passed = drawing.duration(round(time.monotonic() - self._began))
        row.add_row(
            text.Text(self._title),
            text.Text.assemble('  ', (state, 'bold'), f'  {passed:>6}'),
        )
        return row

    def _rows(self, width: int) -> Any:
        from rich import table

        rows = table.Table.grid(padding=(0, 2))
        rows.add_column(style=_FAINT, no_wrap=True, width=_NAMES)
        rows.add_column(no_wrap=True, min_width=18)
        rows.add_column(style=_FAINT, no_wrap=True, overflow='ellipsis')
        now, hoped = self._now, self._predicted
        seen = now.statistics
        rows.add_row(
            'bandwidth',
            wording.rate(seen.disk_mib_s or seen.bandwidth_mib_s),
            f'dirtied {wording.rate(seen.dirty_rate_mib_s)}, '
            f'throttle {seen.throttle_percent} %'
            if wording.runs_on_source(now.state) and not seen.disk_mib_s
            else '',
        )
        rows.add_row(
            'time to go',
            _about(now.remaining_seconds, wording.left),
            f'predicted {drawing.duration(hoped.total_seconds)} in all'
            if hoped
            else '',
        )
        limits = []
        if now.downtime_limit_ms:
            limits.append(f'limit {wording.ms(now.downtime_limit_ms)}')
        if hoped:
            limits.append(f'predicted {wording.ms(hoped.downtime_ms)}')
        if now.state in _BEFORE_THE_STOP:
            rows.add_row(
                'downtime',
                _about(now.expected_downtime_ms, wording.ms),
                ', '.join(limits),
            )
        return _decided(rows, now, width)


def display(stream: TextIO | None = None) -> Display:
    """Return the display that fits *stream*, standard error if None."""
    stream = stream or sys.stderr
    return Live(stream) if stream.isatty() else Lines(stream)


def _bar(now: instructions.ReportProgress, width: int) -> Any:
    from rich import progress_bar
    from rich import table

    seen = now.statistics
    left, whole = seen.remaining_mib, seen.total_mib
    if now.state == states.State.COPYING_STORAGE:
        left, whole = seen.disk_remaining_mib, seen.disk_total_mib
    row = table.Table.grid(padding=(0, 1))
    said = f'{left:,.0f} of {whole:,.0f} MiB left' if whole else ''
    bar = progress_bar.ProgressBar(
        total=whole or None,
        completed=max(whole - left, 0.0),
        width=max(width - len(said) - 2, 10),
        pulse=not whole,
    )
    row.add_row(bar, said)
    return row


def _decided(rows: Any, now: instructions.ReportProgress, width: int) -> Any:
    """Put the last decision below the figures, in as many lines as it has."""
    from rich import console
    from rich import table
    from rich import text

    below = table.Table.grid(padding=(0, 2))
    below.add_column(style=_FAINT, no_wrap=True, width=_NAMES)
    below.add_column(width=width - _NAMES - 2)
    below.add_row('decision', text.Text(_decision(now)))
    return console.Group(rows, below)


def _decision(now: instructions.ReportProgress) -> str:
    if now.state == states.State.PRE_COPY and not now.statistics.total_mib:
        return 'nothing is copied yet'
    return f'{now.decision}: {now.text}' if now.decision else now.text


def _about(
    value: float | None, shown: collections.abc.Callable[[float], str]
) -> str:
    return 'not known' if value is None else f'about {shown(value)}'
