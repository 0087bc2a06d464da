"""How a migration is shown while it runs, on standard error.

On a terminal a bar with what is left of the memory; elsewhere a line for
every state and every pass. Standard output is left to the outcome.
"""

import abc
import contextlib
import sys
from typing import Any
from typing import Self
from typing import TextIO

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions


class Display(contextlib.AbstractContextManager['Display']):
    """Shows the progress of one migration; called from any thread."""

    @abc.abstractmethod
    def show(self, progress: instructions.ReportProgress) -> None:
        """Show how far it is."""

    @abc.abstractmethod
    def note(self, text: str) -> None:
        """Say something that stays."""


class Lines(Display):
    """A line for every state and every pass."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: tuple[str, int] | None = None

    def show(self, progress: instructions.ReportProgress) -> None:
        now = (progress.state, progress.statistics.iteration)
        if now == self._last:
            return
        self._last = now
        parts = filter(None, (figures(progress.statistics), news(progress)))
        self.note(f'{progress.state}: {"; ".join(parts)}'.rstrip(' :'))

    def note(self, text: str) -> None:
        self._stream.write(f'{text}\n')
        self._stream.flush()

    def __exit__(self, *why: object) -> None:
        """Leave nothing behind."""


class Bar(Display):
    """A bar that fills as less of the memory is left."""

    def __init__(self, stream: TextIO) -> None:
        # rich takes a moment to load, which only a terminal has use for.
        from rich import console
        from rich import progress

        self._console = console.Console(file=stream, highlight=False)
        self._bar = progress.Progress(
            progress.TextColumn('{task.description}', style='bold'),
            progress.BarColumn(bar_width=24),
            progress.TaskProgressColumn(),
            progress.TextColumn('{task.fields[figures]}'),
            progress.TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task('requested', total=None, figures='')
        self._said = ''

    def show(self, progress: instructions.ReportProgress) -> None:
        seen = progress.statistics
        known: dict[str, Any] = {}
        if seen.total_mib:
            known = {
                'total': seen.total_mib,
                'completed': max(seen.total_mib - seen.remaining_mib, 0.0),
            }
        self._bar.update(
            self._task,
            description=progress.state,
            figures=figures(seen),
            **known,
        )
        said = news(progress)
        if said and said != self._said:
            self._said = said
            self.note(f'{progress.state}: {said}')

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._bar.stop()


def display(stream: TextIO | None = None) -> Display:
    """Return the display that fits *stream*, standard error if None."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Lines(stream)


def news(progress: instructions.ReportProgress) -> str:
    """Return what a report says beyond its state and figures."""
    told = progress.text == progress.state or progress.text.startswith('pass ')
    return '' if told else progress.text


def figures(seen: events.Statistics) -> str:
    """Return where a copy stands, in a few figures."""
    if not seen.iteration and not seen.total_mib:
        return ''
    shown = (
        f'pass {seen.iteration}, {seen.remaining_mib:,.0f} MiB left, '
        f'{seen.bandwidth_mib_s:,.0f} MiB/s'
    )
    if seen.throttle_percent:
        shown += f', throttle {seen.throttle_percent} %'
    return shown
