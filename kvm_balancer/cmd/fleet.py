"""``kvm-balancer fleet export`` and ``status``: the agent as a whole."""

import argparse
import collections.abc
import gzip
import json
import pathlib
from typing import Any

from cliff import command

from kvm_balancer import errors
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import cli
from kvm_balancer.cmd import listing

#: So many names are shown of what may be thousands.
_SHOWN = 5


class Export(command.Command):
    """Write the fleet as the agent sees it: kvm-balancer/fleet/1, JSON."""

    app: cli.Application

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--output',
            metavar='FILE',
            help='Write to this file instead of standard output.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        with agent_client.connected(self.app.conf) as agent:
            document = json.dumps(agent.fleet(), indent=1)
        if parsed_args.output is None:
            self.app.stdout.write(document + '\n')
            return
        try:
            with open(parsed_args.output, 'w') as target:  # noqa: PTH123
                target.write(document + '\n')
        except OSError as error:
            raise errors.ConfigurationError(
                f'{parsed_args.output} cannot be written: {error.strerror}'
            ) from error


class Load(command.Command):
    """Write what instances used over days: kvm-balancer/load/1, CSV.

    Of each half hour the mean, up to the last one. ``kvm-balancer simulate
    --load`` replays it.
    """

    app: cli.Application

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--days',
            type=arguments.whole_number(1, 3650),
            default=7,
            metavar='N',
            help='Write the last so many days, and today (default: '
            '%(default)s).',
        )
        parser.add_argument(
            '--output',
            required=True,
            metavar='FILE',
            help='Write to this file; compressed if its name ends in .gz.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from kvm_balancer.messages import load_document

        rows: list[_Row] = []
        latest: dict[str, _Row] = {}
        with agent_client.connected(self.app.conf) as agent:
            for name in agent.load_records(parsed_args.days):
                rows.extend(_load_rows(agent.load_record(name), latest))
        if not rows:
            raise errors.NotFound(
                'the agent has kept no load yet: it does so every half hour, '
                'of instances that it has watched through most of it'
            )
        # A value holds until the next: without one the last half hour would
        # be over at once, and its day not whole when it is played back.
        rows.extend(latest.values())
        document = load_document.encode(rows)
        if parsed_args.output.endswith('.gz'):
            document = gzip.compress(document)
        try:
            pathlib.Path(parsed_args.output).write_bytes(document)
        except OSError as error:
            raise errors.ConfigurationError(
                f'{parsed_args.output} cannot be written: {error.strerror}'
            ) from error


#: Instance, second and cores.
_Row = tuple[str, float, float]


def _load_rows(
    record: listing.Row, latest: dict[str, _Row]
) -> collections.abc.Iterator[_Row]:
    """Go through one record.

    :param latest: up to when each instance was written, and what it used;
        two records may tell the same of it
    """
    span = record['step_seconds']
    for instance, usage in record['load'].items():
        for step, cores in enumerate(usage):
            second = record['second'] + step * span
            written = latest[instance][1] if instance in latest else -1.0
            if cores is not None and second > written:
                latest[instance] = (instance, second + span - 1.0, cores)
                yield instance, second, cores


def _pairs(value: Any) -> str:
    """Show a dictionary of counts on one line."""
    shown = [f'{key} {count}' for key, count in (value or {}).items()]
    return ', '.join(shown) or 'none'


def _findings(value: Any) -> str:
    return listing.one_per_line(
        f'{one.get("policy")}{_place(one)} ({one.get("mood")}): '
        f'{one.get("text")}'
        for one in value or ()
    ) or listing.text(None)


def _place(finding: Any) -> str:
    place = finding.get('place')
    return f' for {place}' if place else ''


def _sources(value: Any) -> str:
    return listing.one_per_line(
        _source(one) for one in value or ()
    ) or listing.text(None)


def _some(names: Any) -> str:
    """Show how many names there are, and the first of them."""
    if names is None:
        return listing.text(None)
    if not names:
        return '0'
    shown = [*names[:_SHOWN], *(['...'] if names[_SHOWN:] else [])]
    return listing.one_per_line([f'{len(names)}: {", ".join(shown)}'])


def _nova(one: Any) -> str:
    """Say how much is known of Nova, and how old that is."""
    if one is None:
        return listing.text(None)
    lines = [f'{one.get("servers")} servers on {one.get("computes")} computes']
    age = one.get('age_seconds')
    if age is None:
        lines = ['nothing was read yet']
    else:
        lines[0] += f', as of {age:.0f} s ago'
        if one.get('stale'):
            lines.append('too old to go by: no server is moved')
    return listing.one_per_line([*lines, *filter(None, [one.get('trouble')])])


def _source(one: Any) -> str:
    """Say of how many hosts and instances a source tells the CPU usage."""
    told = ', '.join(
        f'{_known(one, what)} of {one.get(what)} {what}'
        for what in ('hosts', 'instances')
    )
    trouble = one.get('trouble')
    return f'{one.get("source")}: {told}{trouble and f"; {trouble}"}'


def _known(one: Any, what: str) -> int:
    return int(one.get(what, 0)) - int(one.get(f'{what}_missing', 0))


def _held(value: Any) -> str:
    return listing.one_per_line(
        f'{one.get("instance")} is left on {one.get("host")}'
        for one in value or ()
    ) or listing.text(None)


def _left_alone(value: Any) -> str:
    if not value:
        return listing.text(value)
    were = 'instance is' if value == 1 else 'instances are'
    return f'{value} {were} left alone for a while'


def _warned(value: Any) -> str:
    return listing.one_per_line([value] if value else []) or listing.text(None)


class Status(listing.Record):
    """Show what the agent is doing."""

    columns = (
        listing.Column('mode', 'Mode'),
        listing.Column('up_seconds', 'Up s', listing.number(0)),
        listing.Column('hosts', 'Hosts'),
        listing.Column('silent_hosts', 'Silent hosts'),
        listing.Column('instances', 'Instances'),
        listing.Column('samples_accepted', 'Samples accepted'),
        listing.Column('samples_refused', 'Samples refused', _pairs),
        listing.Column('nova', 'Nova', _nova),
        listing.Column('metric_sources', 'Metrics from', _sources),
        listing.Column('hosts_without_metrics', 'Hosts unknown', _some),
        listing.Column('instances_without_metrics', 'Instances unknown'),
        listing.Column('migrations', 'Migrations under way'),
        listing.Column('policies', 'Policies', _findings),
        listing.Column('held', 'Went round', _held),
        listing.Column('moved_by_others', 'Moved by others', _left_alone),
        listing.Column('trouble', 'Others', _warned),
    )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            return agent.status()
