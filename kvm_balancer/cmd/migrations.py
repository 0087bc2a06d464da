"""``kvm-balancer migrations``: what was moved, how, and how it ended."""

import argparse
import collections.abc
import getpass
import shutil
import socket
from typing import Any
from typing import TextIO

import msgspec

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.model import track as tracks


def story(value: Any) -> str:
    """Show the story of a migration, one line a step."""
    return listing.one_per_line(
        f'{_clock(line.get("at"))} {line.get("state")}: '
        f'{_number(line)}{line.get("text")}'
        for line in value or ()
    )


def _clock(at: Any) -> str:
    # The day is told by the record itself.
    return listing.local_time(at).partition(' ')[2]


def _number(line: listing.Row) -> str:
    """Show the number by which a drawing has a decision."""
    return f'[{line["decision"]}] ' if line.get('decision') else ''


def draw(
    row: listing.Row,
    parsed_args: argparse.Namespace,
    stream: TextIO,
    wanted: bool = True,
) -> None:
    """Draw a migration below its record, for people."""
    if not wanted or parsed_args.formatter != 'table' or parsed_args.columns:
        return
    lines = drawing.draw(
        msgspec.convert(row.get('track') or {}, tracks.Track),
        msgspec.convert(row.get('story') or (), tuple[outcome.StoryLine, ...]),
        shutil.get_terminal_size().columns,
        drawing.glyphs_of(stream),
    )
    if lines:
        stream.write('\n')
        drawing.emit(lines, stream)


def _prediction(row: listing.Row) -> str:
    """Show what was predicted, and how far off that was."""
    value = row.get('predicted')
    if not value:
        return listing.text(None)
    hoped = msgspec.convert(value, plan.Prediction)
    said = listing.one_per_line([wording.prediction(hoped)])
    if row.get('outcome') != outcome.OutcomeKind.COMPLETED:
        return said
    pairs = (
        ('time', (row.get('total_ms') or 0.0) / 1000.0, hoped.total_seconds),
        ('downtime', row.get('downtime_ms'), hoped.downtime_ms),
        ('MiB', row.get('transferred_mib'), hoped.mib),
    )
    off = [
        f'{name} {actual / predicted - 1.0:+.0%}'
        for name, actual, predicted in pairs
        if actual is not None and predicted
    ]
    if row.get('mode') != hoped.mode:
        off.append(f'and by {row.get("mode")}')
    return f'{said}\nreally: {", ".join(off)}'


def _mode(row: listing.Row) -> str:
    """Show how the memory got across; of what never began there is none."""
    completed = row.get('outcome') == outcome.OutcomeKind.COMPLETED
    began = completed or row.get('iterations') or row.get('transferred_mib')
    return listing.text(row.get('mode') if began else None)


def _now(row: listing.Row) -> str:
    """Show where a copy that runs stands."""
    value = row.get('statistics')
    if not value:
        return listing.text(None)
    if row.get('state') == states.State.COPYING_STORAGE:
        return wording.disks(msgspec.convert(value, events.Statistics))
    shown = (
        f'pass {value["iteration"]}, {value["remaining_mib"]:,.0f} MiB left, '
        f'{value["bandwidth_mib_s"]:,.0f} MiB/s'
    )
    if not wording.runs_on_source(row.get('state')):
        return shown
    return f'{shown}, throttle {value["throttle_percent"]} %'


def _state(row: listing.Row) -> str:
    """Show where a migration is, and what it still takes."""
    state = listing.text(row.get('state'))
    left = row.get('remaining_seconds')
    if row.get('outcome') or left is None:
        return state
    return f'{state}\n{drawing.duration(round(left))} left'


def _next(value: Any) -> str:
    """Show what is still to be expected of a migration."""
    return listing.text(None) if value is None else drawing.duration(value)


#: The fields of one migration, also of one that was made by hand.
RECORD = (
    listing.Column('id', 'Id'),
    listing.Column('plan_id', 'Plan'),
    listing.Column('instance', 'Instance'),
    listing.Column('source', 'Source'),
    listing.Column('destination', 'Destination'),
    listing.Column('state', 'State'),
    listing.Column('outcome', 'Outcome'),
    listing.Column('mode', 'Mode', of_row=_mode),
    listing.Column(
        'reason', 'Reason', lambda v: listing.one_per_line([listing.text(v)])
    ),
    listing.Column('accepted_at', 'Accepted', listing.local_time),
    listing.Column('ended_at', 'Ended', listing.local_time),
    listing.Column('total_ms', 'Total ms', listing.number(0)),
    listing.Column('downtime_ms', 'Downtime ms', listing.number(0)),
    listing.Column('transferred_mib', 'Transferred MiB', listing.number(0)),
    listing.Column('iterations', 'Passes'),
    listing.Column('max_throttle_percent', 'Most throttle %'),
    listing.Column('predicted', 'Predicted', of_row=_prediction),
    listing.Column('story', 'Story', story),
)


#: What the other columns and the frame take of a line.
_REASON_MARGIN = 50
_REASON = listing.Column(
    'reason',
    'What was found, and what to do',
    lambda v: listing.one_per_line(
        listing.text(v).split('; '), _REASON_MARGIN
    ),
)
_UNKNOWN = (
    listing.Column('id', 'Id', listing.short_id),
    listing.Column('instance', 'Instance', listing.short_id),
    listing.name('source', 'From'),
    listing.name('destination', 'To'),
    _REASON,
)


class List(listing.Listing):
    """List the latest migrations, newest first.

    Those under way say how long they still take, where that is known.
    Down is how long the instance stood still, in ms. More is in -f json, and
    in 'migrations show'. With --unknown each tells what was found, and what
    to do about it; both ends are looked at until it is known.
    """

    columns: collections.abc.Sequence[listing.Column] = (
        listing.Column('id', 'Id', listing.short_id),
        listing.Column('accepted_at', 'Accepted', listing.short_time),
        listing.Column('instance', 'Instance', listing.short_id),
        listing.name('source', 'From'),
        listing.name('destination', 'To'),
        listing.Column('state', 'State', of_row=_state),
        listing.Column('downtime_ms', 'Down', listing.number(0), right=True),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--unknown',
            action='store_true',
            help='Only those whose outcome is unknown: look at both ends.',
        )
        parser.add_argument(
            '--instance',
            metavar='ID',
            help='Only those of this instance: its id, or the beginning.',
        )
        parser.add_argument(
            '--host', metavar='NAME', help='Only those from or to this host.'
        )
        arguments.add_limit(parser, 'migrations', 'all with --unknown')

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        limit = parsed_args.limit
        if parsed_args.unknown:
            self.columns = _UNKNOWN
        elif limit is None:
            limit = arguments.LISTED
        with agent_client.connected(self.app.conf) as agent:
            return agent.migrations(
                unknown=parsed_args.unknown,
                instance=parsed_args.instance,
                host=parsed_args.host,
                limit=limit,
            )


#: What there is only of a migration that is not over, and only of one that is.
_UNDER_WAY = frozenset(
    ('statistics', 'remaining_seconds', 'expected_downtime_ms', 'decision')
)
_OVER = frozenset(
    (
        *('outcome', 'mode', 'reason', 'ended_at', 'total_ms'),
        *('downtime_ms', 'transferred_mib', 'iterations'),
        'max_throttle_percent',
    )
)


class _OneMigration(listing.Record):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            'migration', metavar='ID', help='Its id, or the beginning of it.'
        )


class Show(_OneMigration):
    """Show one migration and its story, and draw it over time.

    The numbers of decisions are the same in the story and in the drawing.
    With -f json its figures over time are in 'track'.
    """

    columns: collections.abc.Sequence[listing.Column] = (
        *RECORD[:-1],
        listing.Column('statistics', 'Now', of_row=_now),
        listing.Column('remaining_seconds', 'Time to go', _next),
        listing.Column(
            'expected_downtime_ms', 'Downtime to expect', listing.number(0)
        ),
        listing.Column('decision', 'Decision'),
        RECORD[-1],
    )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            self._row = agent.migration(parsed_args.migration)
        unsaid = _UNDER_WAY if self._row.get('outcome') else _OVER
        self.columns = tuple(
            column for column in self.columns if column.key not in unsaid
        )
        return self._row

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Sequence[Any],
    ) -> int:
        code = int(super().produce_output(parsed_args, column_names, data))
        draw(self._row, parsed_args, self.app.stdout)
        return code


class Cancel(_OneMigration):
    """Ask for the end of a migration that runs, or may.

    It ends when its executor has made sure of both ends: see 'migrations
    show'. Once post-copy runs it can no longer be cancelled. One that is
    unknown is cancelled if its job turns out to run on.
    """

    columns = (
        listing.Column('id', 'Id'),
        listing.Column('asked', 'Asked', listing.yes),
        listing.Column('state', 'State'),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            '--reason',
            default='cancelled by an operator',
            help='For the story of the migration.',
        )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            found = agent.migration(parsed_args.migration)
            return agent.cancel_migration(found['id'], parsed_args.reason)


class Settle(_OneMigration):
    """Say how a migration ended that is unknown, and stays so.

    For what nobody can look at any more: a host is gone for good, or the
    instance was started anew elsewhere. Refused while the migration's executor
    knows more. Nothing is done to either host but to take marks off; who said
    so, and why, is kept with the migration, and its instance may be moved
    again.
    """

    columns = (
        listing.Column('id', 'Id'),
        listing.Column('state', 'State'),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            '--as',
            dest='outcome',
            required=True,
            choices=('completed', 'failed'),
            help="completed: it is not the source's any more; failed: it is, "
            'or was started anew.',
        )
        parser.add_argument(
            '--reason',
            required=True,
            metavar='TEXT',
            help='How that is known, for the story of the migration.',
        )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        said = f'{_person()}: {parsed_args.reason}'
        with agent_client.connected(self.app.conf) as agent:
            found = agent.migration(parsed_args.migration)
            return agent.settle_migration(
                found['id'], parsed_args.outcome == 'completed', said
            )


def _person() -> str:
    """Say who sits there, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = 'somebody'
    return f'{name} at {socket.gethostname()}'
