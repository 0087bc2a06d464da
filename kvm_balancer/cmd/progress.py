"""How a migration is shown while it runs, on standard error.

On a terminal a live view of where it is and where it is going; elsewhere a
line for every state, every pass and every decision. Standard output is left
to the outcome.
"""

import abc
import collections.abc
import contextlib
import math
import sys
import time
from typing import Any
from typing import TextIO

from kvm_balancer.cmd import drawing
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

_WIDTH = 80
_FAINT = 'bright_black'
_ON_SOURCE = frozenset(
    {
        states.State.REQUESTED,
        states.State.PRE_FLIGHT,
        states.State.PREPARING,
        states.State.COPYING_STORAGE,
        states.State.PRE_COPY,
    }
)
#: How long it will stand still is no question once it has.
_BEFORE_THE_STOP = _ON_SOURCE | {states.State.SWITCHOVER}
_ENDINGS: dict[plan.Ending | None, str] = {
    plan.Ending.PRE_COPY: 'converges by pre-copy',
    plan.Ending.THROTTLED: 'converges by pre-copy when slowed down',
    plan.Ending.POST_COPY: 'converges by post-copy',
    plan.Ending.GIVEN_UP: 'does not converge and is given up',
}
#: Width of what stands before the figures.
_NAMES = 10


class Display(contextlib.AbstractContextManager['Display']):
    """Shows the progress of one migration; called from any thread."""

    def begin(self, name: str, wanted: request.Request) -> None:
        """Say what is going to be done, and what is expected of it."""
        said = f'{name} goes from {wanted.source} to {wanted.destination}'
        if wanted.predicted is not None:
            said += f'; predicted: {prediction(wanted.predicted)}'
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
            (figures(progress), ahead(progress), news(progress)),
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
            _rate(seen.disk_mib_s or seen.bandwidth_mib_s),
            f'dirtied {_rate(seen.dirty_rate_mib_s)}, '
            f'throttle {seen.throttle_percent} %'
            if runs_on_source(now.state) and not seen.disk_mib_s
            else '',
        )
        rows.add_row(
            'time to go',
            _about(now.remaining_seconds, _left),
            f'predicted {drawing.duration(hoped.total_seconds)} in all'
            if hoped
            else '',
        )
        limits = []
        if now.downtime_limit_ms:
            limits.append(f'limit {_ms(now.downtime_limit_ms)}')
        if hoped:
            limits.append(f'predicted {_ms(hoped.downtime_ms)}')
        if now.state in _BEFORE_THE_STOP:
            rows.add_row(
                'downtime',
                _about(now.expected_downtime_ms, _ms),
                ', '.join(limits),
            )
        return _decided(rows, now, width)


def display(stream: TextIO | None = None) -> Display:
    """Return the display that fits *stream*, standard error if None."""
    stream = stream or sys.stderr
    return Live(stream) if stream.isatty() else Lines(stream)


def news(progress: instructions.ReportProgress) -> str:
    """Return what a report says beyond its state and figures."""
    told = progress.text == progress.state or progress.text.startswith('pass ')
    return '' if told else progress.text


def runs_on_source(state: str | None) -> bool:
    """Say whether the guest still writes, and is slowed down, on its source.

    From the switch on the source tells its last figures for ever.
    """
    return state in _ON_SOURCE


def figures(progress: instructions.ReportProgress) -> str:
    """Return where a copy stands, in a few figures."""
    seen = progress.statistics
    if progress.state == states.State.COPYING_STORAGE:
        return disks(seen)
    if not seen.iteration and not seen.total_mib:
        return ''
    shown = (
        f'pass {seen.iteration}, {seen.remaining_mib:,.0f} MiB left, '
        f'{_rate(seen.bandwidth_mib_s)}'
    )
    if not runs_on_source(progress.state):
        return shown
    if seen.dirty_rate_mib_s:
        shown += f', dirtied {_rate(seen.dirty_rate_mib_s)}'
    if seen.throttle_percent:
        shown += f', throttle {seen.throttle_percent} %'
    return shown


def disks(seen: events.Statistics) -> str:
    """Return where the copy of the disks stands."""
    return (
        f'{seen.disk_remaining_mib:,.0f} of {seen.disk_total_mib:,.0f} MiB of '
        f'disks left, {_rate(seen.disk_mib_s)}'
    )


def ahead(progress: instructions.ReportProgress) -> str:
    """Return what is still to be expected, as far as it is known."""
    parts = []
    if progress.remaining_seconds is not None:
        parts.append(f'about {_left(progress.remaining_seconds)} to go')
    if progress.expected_downtime_ms is not None:
        parts.append(f'downtime about {_ms(progress.expected_downtime_ms)}')
    return ', '.join(parts)


def prediction(predicted: plan.Prediction) -> str:
    """Return a prediction in one line."""
    disks = ''
    if predicted.disk_mib:
        disks = f' and up to {predicted.disk_mib:,.0f} MiB of disks'
    return (
        f'{drawing.duration(predicted.total_seconds)}, downtime '
        f'{_ms(predicted.downtime_ms)}, {predicted.mib:,.0f} MiB{disks}, '
        f'{_ENDINGS.get(predicted.ending, predicted.mode)}'
    )


def writing(found: hot_set.HotSet) -> str:
    """Return in one line how an instance was seen to write."""
    if not found.dirty_rate_mib_s:
        return 'was not seen to write'
    said = (
        f'dirties {_rate(found.dirty_rate_mib_s)} at first; '
        f'{found.hot_set_mib:,.0f} MiB over and over'
    )
    if found.cold_rate_mib_s:
        said += f', {_rate(found.cold_rate_mib_s)} elsewhere'
    return said


def comparison(ended: outcome.Outcome) -> str:
    """Hold what happened against what was predicted, in one line.

    :returns: empty where nothing was predicted, or it did not get there
    """
    hoped = ended.predicted
    if hoped is None or ended.outcome is not outcome.OutcomeKind.COMPLETED:
        return ''
    took = ended.total_ms / 1000.0
    ahead = hoped.total_seconds
    off = f', {took / ahead - 1.0:+.0%}' if ahead else ''
    parts = [
        f'took {drawing.duration(took)} '
        f'(predicted {drawing.duration(ahead)}{off})'
    ]
    if ended.downtime_ms is not None:
        parts.append(
            f'downtime {_ms(ended.downtime_ms)} ({_ms(hoped.downtime_ms)})'
        )
    parts.append(f'{ended.transferred_mib:,.0f} MiB ({hoped.mib:,.0f} MiB)')
    mode = f'{ended.mode}'
    parts.append(
        mode if hoped.mode == ended.mode else f'{mode} ({hoped.mode})'
    )
    return ', '.join(parts)


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


def _rate(mib_s: float) -> str:
    return f'{mib_s:,.{1 if 0 < mib_s < 10 else 0}f} MiB/s'


def _left(seconds: float) -> str:
    # nobody knows it to the tenth
    return drawing.duration(math.ceil(seconds))


def _ms(milliseconds: float) -> str:
    return f'{milliseconds:,.0f} ms'


def _about(
    value: float | None, shown: collections.abc.Callable[[float], str]
) -> str:
    return 'not known' if value is None else f'about {shown(value)}'
