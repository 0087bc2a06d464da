"""``kvm-balancer migrate``: one migration by hand, without bus or agent.

``[executor] manage`` does not apply, because a person named the instance;
Nova's metadata does. The first Ctrl-C asks for the end of the migration and
waits until both ends were looked at; the second leaves it alone, which the
hypervisors carry on with by themselves.
"""

import argparse
import collections.abc
import dataclasses
from typing import Any
import urllib.parse

from kvm_balancer import errors
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import errand
from kvm_balancer.cmd import limits
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.cmd import migrations
from kvm_balancer.cmd import preflight
from kvm_balancer.cmd import progress
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.model import outcome
from kvm_balancer.service import measuring
from kvm_balancer.virt.libvirt import address

_EPILOG = (
    'Exit codes: 0 completed; 1 failed, cancelled or unknown; 2 the command '
    'line or the configuration is wrong; 130 cancelled by Ctrl-C. The first '
    'Ctrl-C cancels and waits for the verified end, the second leaves the '
    'migration to the hypervisors. With --check-only: 0 when no check '
    'failed, 1 when one did; a check that could not tell is no failure. What '
    'is not asked for here is as group [migration] of the configuration has '
    'it; what zones and aggregates have otherwise does not apply, as no host '
    'tells here in which it is. The wishes in the metadata of the instance '
    'are heeded.'
)


class Migrate(listing.Record):
    """Migrate one instance now, without bus or agent."""

    columns = (
        listing.Column('migration_id', 'Migration'),
        *(
            column
            for column in migrations.RECORD
            if column.key not in ('id', 'plan_id', 'state')
        ),
    )

    #: what the checks found, where nothing else was asked for
    _found: tuple[events.Check, ...] | None = None

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.epilog = _EPILOG
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('instance', help='Its uuid or its name.')
        for end, which in (
            ('source', 'the host that it is on'),
            (
                'destination',
                "the host that it goes to, as the source's "
                'libvirtd reaches it',
            ),
        ):
            parser.add_argument(
                f'--{end}',
                required=True,
                metavar='URI',
                type=_libvirt_uri,
                help=f'libvirt URI of {which}, as qemu+ssh://host/system.',
            )
        parser.add_argument(
            '--migration-address',
            default='',
            metavar='ADDRESS',
            help="Where the memory is sent to (default: the destination's "
            'own choice).',
        )
        parser.add_argument(
            '--check-only',
            action='store_true',
            help='Show what every check before the migration finds, and '
            'migrate nothing.',
        )
        parser.add_argument(
            '--measure',
            type=arguments.whole_number(1, measuring.LONGEST_SECONDS),
            metavar='SECONDS',
            help='Measure for so long how the instance writes to its memory, '
            'and predict from that; else it is taken for idle. From 5 s on '
            'it shows over how much it writes, from 15 s on well.',
        )
        parser.add_argument(
            '--drawing',
            action=argparse.BooleanOptionalAction,
            help='Draw remaining memory, bandwidth and throttle over time '
            'below the outcome (default: on a terminal).',
        )
        limits.add_arguments(parser)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[list[str], list[Any]]:
        if parsed_args.source == parsed_args.destination:
            raise errors.ConfigurationError(
                'source and destination are the same host'
            )
        address.check_stream(
            '--migration-address', parsed_args.migration_address
        )
        self._errand = errand.Errand(self.app.conf, parsed_args)
        self._check_columns(parsed_args)
        if parsed_args.check_only:
            with progress.display(self.app.stderr) as shown:
                self._found = self._errand.check(shown)
            return preflight.arranged(self._found, parsed_args.formatter)
        with progress.display(self.app.stderr) as shown:
            ended = self._errand.run(shown)
            compared = wording.comparison(ended)
            if compared:
                shown.note(compared)
        self._row = messages.encode_outcome(ended)
        return listing.arranged(self.columns, self._row, parsed_args.formatter)

    def _check_columns(self, parsed_args: argparse.Namespace) -> None:
        """Refuse columns that there are not before anything is moved."""
        if parsed_args.check_only:
            return
        keys = [
            'schema',
            *(field.name for field in dataclasses.fields(outcome.Outcome)),
        ]
        names, _ = listing.arranged(
            self.columns, dict.fromkeys(keys), parsed_args.formatter
        )
        self._generate_columns_and_selector(parsed_args, names)

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Sequence[Any],
    ) -> int:
        if not parsed_args.check_only:
            code = int(super().produce_output(parsed_args, column_names, data))
            wanted = parsed_args.drawing
            if wanted is None:
                wanted = self.app.stdout.isatty()
            migrations.draw(self._row, parsed_args, self.app.stdout, wanted)
            return code
        shown, selector = self._generate_columns_and_selector(
            parsed_args, column_names
        )
        rows = [
            list(self._compress_iterable(row, selector)) if selector else row
            for row in data
        ]
        preflight.emit(
            self.formatter, shown, rows, self.app.stdout, parsed_args
        )
        return 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        return int(super().run(parsed_args) or self._exit_code)

    @property
    def _exit_code(self) -> int:
        if self._found is not None:
            return preflight.exit_code(self._found)
        return self._errand.exit_code


def _libvirt_uri(text: str) -> str:
    said = f'{text!r} is no libvirt URI, as qemu+ssh://host/system is'
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{said}: {error}') from None
    if not parts.scheme or not (parts.netloc or parts.path.strip('/')):
        raise argparse.ArgumentTypeError(said)
    return text
