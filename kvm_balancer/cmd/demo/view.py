"""What is shown while the fleet is balanced: a live view, or plain lines."""

import abc
import contextlib
import math
from typing import Any
from typing import Self
from typing import TextIO

from kvm_balancer.cmd import drawing
from kvm_balancer.cmd.demo import record
from kvm_balancer.cmd.demo import theatre

#: A line about the whole fleet this often, where there is no live view.
_SUMMARY_SECONDS = 5.0
_BAR = 30
_TRIPS = 8
_DECISIONS = 8


class View(contextlib.AbstractContextManager['View']):
    """Shows the record of a fleet as it grows."""

    @abc.abstractmethod
    def note(self, text: str) -> None:
        """Say something that stays."""

    @abc.abstractmethod
    def show(self, seen: record.Record, changed: list[record.Trip]) -> None:
        """Show what is new.

        :param changed: migrations of which there is news
        """


class Lines(View):
    """A line for every plan, every move and every end of a migration."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told = 0
        self._ended: set[str] = set()
        self._summary_at = 0.0

    def note(self, text: str) -> None:
        self._stream.write(f'{text}\n')
        self._stream.flush()

    def show(self, seen: record.Record, changed: list[record.Trip]) -> None:
        for at, text in seen.decisions[self._told :]:
            self.note(f'{at:5.1f} s  {text}')
        self._told = len(seen.decisions)
        for trip in changed:
            if not trip.under_way and trip.id not in self._ended:
                self._ended.add(trip.id)
                self.note(f'{trip.ended_at:5.1f} s  {told(trip)}')
        last = seen.last
        if last.at >= self._summary_at:
            self._summary_at = last.at + _SUMMARY_SECONDS
            self.note(
                f'{last.at:5.1f} s  spread {last.spread:.3f}, hottest '
                f'{last.hottest} at {last.peak:.0%}, '
                f'{len(seen.under_way)} migrations under way'
            )

    def __exit__(self, *why: object) -> None:
        """Leave nothing behind."""


class Screen(View):
    """Hosts as bars, migrations under way, and the last decisions."""

    def __init__(self, stream: TextIO, goals: theatre.Goals) -> None:
        # rich takes a moment to load, which only a terminal has use for.
        from rich import console
        from rich import live

        self._goals = goals
        self._console = console.Console(file=stream, highlight=False)
        self._live = live.Live(
            console=self._console, refresh_per_second=8, transient=True
        )

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, seen: record.Record, changed: list[record.Trip]) -> None:
        from rich import console
        from rich import panel

        def boxed(title: str, content: Any) -> Any:
            return panel.Panel(
                content,
                title=title,
                title_align='left',
                border_style='bright_black',
            )

        last = seen.last
        title = (
            f'[bold]{len(last.loads)} hosts[/]  after {last.at:.0f} s:  '
            f'spread [bold]{last.spread:.3f}[/] (target '
            f'{self._goals.target:g})  hottest [bold]{last.peak:.0%}[/] '
            f'(limit {self._goals.limit:.0%})'
        )
        running = len(seen.under_way)
        self._live.update(
            console.Group(
                boxed(title, self._hosts(seen)),
                boxed(
                    f'[bold]{running} migrations under way[/]', _trips(seen)
                ),
                boxed('[bold]Last decisions[/]', _decisions(seen)),
            )
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._live.stop()

    def _hosts(self, seen: record.Record) -> Any:
        from rich import table
        from rich import text

        rows = table.Table.grid(padding=(0, 1))
        first = seen.looks[0].loads
        for name, load in seen.last.loads.items():
            ended = [one for one in seen.ended if one.outcome == 'completed']
            left = sum(one.source == name for one in ended)
            came = sum(one.destination == name for one in ended)
            rows.add_row(
                name,
                text.Text.assemble(
                    ('█' * round(load * _BAR), self._color(load)),
                    ('·' * (_BAR - round(load * _BAR)), 'bright_black'),
                ),
                f'{load:4.0%}',
                text.Text(f'was {first.get(name, 0.0):4.0%}', 'bright_black'),
                text.Text(f'-{left}' if left else '', 'yellow'),
                text.Text(f'+{came}' if came else '', 'cyan'),
            )
        return rows

    def _color(self, load: float) -> str:
        if load > self._goals.limit:
            return 'red'
        return 'yellow' if load > 0.75 * self._goals.limit else 'green'


def view(stream: TextIO, goals: theatre.Goals, live: bool) -> View:
    """Return the view that fits *stream*."""
    if live and stream.isatty():
        return Screen(stream, goals)
    return Lines(stream)


def told(trip: record.Trip) -> str:
    """Say in one line how a migration ended."""
    way = f'{trip.name}  {trip.source} -> {trip.destination}'
    if trip.outcome != 'completed':
        return f'{way}: {trip.outcome}, {trip.reason}'
    took = (trip.ended_at or 0.0) - trip.begun_at
    stopped = ''
    if trip.downtime_ms is not None:
        stopped = f', downtime {trip.downtime_ms:.0f} ms'
    return f'{way}: completed in {took:.1f} s, {trip.gib:.1f} GiB{stopped}'


def _trips(seen: record.Record) -> Any:
    from rich import progress_bar
    from rich import table

    rows = table.Table.grid(padding=(0, 1))
    shown = seen.under_way[:_TRIPS]
    for trip in shown:
        throttle = trip.throttle_percent
        rows.add_row(
            trip.name,
            f'{trip.source} -> {trip.destination}',
            progress_bar.ProgressBar(
                total=1.0, completed=trip.share, width=24
            ),
            trip.state,
            f'{trip.gib:4.1f} GiB',
            _left(trip),
            f'throttle {throttle} %' if throttle else '',
        )
    for _ in range(_TRIPS - len(shown)):
        rows.add_row()
    return rows


def _left(trip: record.Trip) -> str:
    if trip.seconds_left is None:
        return ''
    return f'{drawing.duration(math.ceil(trip.seconds_left))} left'


def _decisions(seen: record.Record) -> Any:
    """Show the last plans, and why what began last was planned."""
    from rich import text

    plans = [f'{at:5.1f} s  {said}' for at, said in seen.summaries[-2:]]
    begun = sorted(seen.trips.values(), key=lambda one: one.begun_at)
    moves = [
        f'{one.begun_at:5.1f} s  {one.name}: {one.why}'
        for one in begun[len(plans) - _DECISIONS :]
    ]
    lines = [*plans, *moves]
    lines += [''] * (_DECISIONS - len(lines))
    return text.Text('\n'.join(lines), no_wrap=True, overflow='ellipsis')
