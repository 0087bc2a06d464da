"""``kvm-balancer drain``, ``undrain`` and ``drains``: empty hosts on purpose.

The agent does it, for instances of libvirt and servers of Nova alike; a
terminal that is closed ends nothing but the watching.
"""

import argparse
import collections.abc
import getpass
import time
from typing import Any
from typing import TextIO
from typing import TypeVar

from rich import console
from rich import progress

from kvm_balancer import errors
from kvm_balancer.cmd import action
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import startup

Row = dict[str, Any]

#: How often the agent is asked how far it is.
POLL_SECONDS = 1.0
#: An agent plans and samples at intervals: what is said to be stuck, or
#: empty, for less than this may be so only until it has looked.
SETTLE_SECONDS = 5.0
#: An agent that does not answer may be started anew, or its broker.
PATIENCE_SECONDS = 300.0

Answer = TypeVar('Answer')

#: Called with the number of instances there were, and what is told now.
Show = collections.abc.Callable[[int, Row], None]


def patiently(
    ask: collections.abc.Callable[[], Answer],
    clock: collections.abc.Callable[[], float] = time.monotonic,
    pause: collections.abc.Callable[[float], None] = time.sleep,
) -> Answer:
    """Ask again while the agent, or Nova behind it, does not answer.

    What takes hours is not to end because an agent was started anew.

    :raises UnreachableError: when that has lasted for long
    """
    began = clock()
    while True:
        try:
            return ask()
        except errors.UnreachableError:
            if clock() - began >= PATIENCE_SECONDS:
                raise
        pause(POLL_SECONDS)


def wait(
    agent: agent_client.AgentClient,
    host: str,
    timeout_seconds: float,
    show: Show,
    clock: collections.abc.Callable[[], float] = time.monotonic,
    pause: collections.abc.Callable[[float], None] = time.sleep,
) -> Row:
    """Wait until a drain is over.

    :param timeout_seconds: 0 for as long as it takes
    :returns: what was told last: ``drained``, ``stuck``, or, at the timeout,
        ``draining``
    """
    began = settled = clock()
    before = ''
    while True:
        now = clock()
        row = patiently(lambda: agent.drained(host), clock, pause)
        show(row['moved'] + len(row['left']), row)
        if row['state'] != before or row['state'] == 'draining':
            before, settled = row['state'], now
        elif now - settled >= SETTLE_SECONDS:
            return row
        if 0 < timeout_seconds <= now - began:
            return row
        pause(POLL_SECONDS)


def leftovers(row: Row, what: str = 'left') -> list[str]:
    """Return a line for each instance that would not move.

    :param what: ``resting`` for those that do not run, and stay
    """
    return [
        f'  {one["name"]} ({one["instance"]}): '
        f'{one["reason"] or "still to be moved"}'
        for one in row[what]
    ]


class Drain(action.Action):
    """Empty a host: nothing arrives there, and what it runs moves away.

    Instances of libvirt are moved by their executors, servers by Nova, whose
    compute service is disabled first. It ends with 1 where something would
    not move, and says what and why.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('host', metavar='HOST', help='Its name.')
        parser.add_argument(
            '--reason',
            default='',
            help='Why, for others and for Nova (default: who drains it).',
        )
        parser.add_argument(
            '--wait',
            action='store_true',
            help='Wait until it is empty, or what is left would not move.',
        )
        parser.add_argument(
            '--timeout',
            type=arguments.amount,
            default=0.0,
            metavar='SECONDS',
            help='Wait no longer; the drain goes on (default: no limit).',
        )

    def act(self, parsed_args: argparse.Namespace) -> Row:
        host = parsed_args.host
        stream = self.progress_stream(parsed_args)
        reason = parsed_args.reason or f'drained by {getpass.getuser()}'
        with agent_client.connected(self.app.conf) as agent:
            row = agent.drain(host, reason)
            if parsed_args.wait:
                row = watched(agent, host, parsed_args.timeout, stream)
        if parsed_args.wait:
            self._tell(row, stream)
        else:
            stream.write(
                f'{host} is being drained: {len(row["left"])} instances are '
                f'there; see kvm-balancer drains\n'
            )
        return row

    def _tell(self, row: Row, stream: TextIO) -> None:
        host, left, lines = row['host'], row['left'], []
        if row['state'] == 'drained':
            lines.append(f'{host} is empty; {row["moved"]} were moved')
        else:
            self.exit_code = startup.EXIT_FAILURE
            if row['doubt']:
                lines.append(
                    f'nobody can say that {host} is empty: {row["doubt"]}'
                )
            if left:
                said = (
                    'would not move' if row['state'] == 'stuck' else 'are left'
                )
                lines.append(f'{len(left)} instances of {host} {said}:')
                lines.extend(leftovers(row))
        if row['resting']:
            lines.append(f'{len(row["resting"])} that do not run stay there:')
            lines.extend(leftovers(row, 'resting'))
        stream.write('\n'.join(lines) + '\n')


def watched(
    agent: agent_client.AgentClient,
    host: str,
    timeout_seconds: float,
    stream: TextIO,
) -> Row:
    """Wait for a drain, with a bar on a terminal."""
    shown = progress.Progress(
        progress.TextColumn('{task.description}'),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=console.Console(file=stream),
        disable=not stream.isatty(),
        transient=True,
    )
    with shown:
        task = shown.add_task(host, total=None)

        def show(total: int, row: Row) -> None:
            shown.update(
                task,
                total=total,
                completed=row['moved'],
                description=f'{host} {row["doubt"] or row["state"]}',
            )

        return wait(agent, host, timeout_seconds, show)


class Undrain(action.Action):
    """Let instances arrive again at a host that was drained.

    Nova's compute service is enabled where the drain had disabled it, and
    nobody else has given another reason since.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('host', metavar='HOST', help='Its name.')

    def act(self, parsed_args: argparse.Namespace) -> Row:
        with agent_client.connected(self.app.conf) as agent:
            row = agent.undrain(parsed_args.host)
        note = row['note'] and f'; but {row["note"]}'
        self.progress_stream(parsed_args).write(
            f'{parsed_args.host} takes instances again{note}\n'
        )
        return row


def _left(row: listing.Row) -> str:
    """Say what is left on a host, and why nobody knows all of it."""
    left, resting = row.get('left') or (), row.get('resting') or ()
    return listing.one_per_line(
        [
            *filter(None, [row.get('doubt')]),
            *(
                f'{one["name"]}: {one["reason"] or "to be moved"}'
                for one in left
            ),
            *(f'{one["name"]}: {one["reason"]}' for one in resting),
        ]
    ) or listing.text(None)


class List(listing.Listing):
    """List the hosts that are drained, and what is left on them."""

    columns = (
        listing.Column('host', 'Host'),
        listing.Column('state', 'State'),
        listing.Column('moved', 'Moved'),
        listing.Column('shown_left', 'Left'),
        listing.Column('reason', 'Reason'),
        listing.Column('begun_at', 'Since', listing.short_time),
    )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            rows = agent.drains()
        if parsed_args.formatter == 'table':
            for row in rows:
                row['shown_left'] = _left(row)
        return rows
