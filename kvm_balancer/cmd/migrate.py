"""``kvm-balancer migrate``: one migration by hand, without bus or agent.

``[executor] manage`` does not apply, because a person named the instance;
Nova's metadata does. The first Ctrl-C asks for the end of the migration and
waits until both ends were looked at; the second leaves it alone, which the
hypervisors carry on with by themselves.
"""

import argparse
import collections.abc
import dataclasses
import signal
import time
from typing import Any
import urllib.parse
import uuid

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import limits
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import migrations
from kvm_balancer.cmd import preflight
from kvm_balancer.cmd import progress
from kvm_balancer.cmd import startup
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import machine
from kvm_balancer.migration import request
from kvm_balancer.migration import wishes
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import forecast
from kvm_balancer.service import migrations as service
from kvm_balancer.virt import driver

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

_WAKE_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        self._errand = _Errand(self.app.conf, parsed_args)
        self._check_columns(parsed_args)
        if parsed_args.check_only:
            self._found = self._errand.check()
            return preflight.arranged(self._found, parsed_args.formatter)
        with progress.display(self.app.stderr) as shown:
            ended = self._errand.run(shown)
            compared = progress.comparison(ended)
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


class _Errand:
    """One migration, from the command line to its outcome."""

    def __init__(
        self, conf: cfg.ConfigOpts, asked: argparse.Namespace
    ) -> None:
        self._accepted_at = time.time()
        self._asked = asked
        self._bandwidth_mib_s: float = conf.host.migration_mib_s
        self._options = limits.options(conf, asked)
        self._convergence = limits.load_convergence(conf, asked)
        self._interrupts = 0
        self._ended: outcome.Outcome | None = None

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self._ended is None:
            return startup.EXIT_FAILURE
        kinds = outcome.OutcomeKind
        if self._ended.outcome is kinds.COMPLETED:
            return 0
        if self._interrupts and self._ended.outcome is kinds.CANCELLED:
            return startup.EXIT_INTERRUPTED
        return startup.EXIT_FAILURE

    def run(self, shown: progress.Display) -> outcome.Outcome:
        """Carry the migration out and return how it ended.

        :raises HypervisorUnreachable: when the source does not answer
        :raises MigrationError: when the instance is not to be moved
        """
        hypervisor = open_driver(self._asked.source)
        try:
            hypervisor.connect()
            view = hypervisor.view(self._asked.instance)
            if view.owner_reason:
                raise errors.MigrationError(
                    f'instance {view.name} is not to be moved: '
                    f'{view.owner_reason}'
                )
            merged = wishes.merge(self._options, view.asks)
            for change in merged.changes:
                shown.note(change)
            wanted = self._request(
                view,
                merged.options,
                forecast.of_instance(
                    hypervisor, view, merged.options, self._bandwidth_mib_s
                ),
                merged.changes,
            )
            shown.begin(view.name, wanted)
            runner = service.MigrationRunner(
                hypervisor,
                machine.Machine(wanted, self._convergence()),
                lambda _, report: shown.show(report),
                self._conclude,
            )
            self._wait(runner, shown)
        finally:
            hypervisor.close()
        if self._ended is None:
            raise errors.MigrationError(
                f'migration {wanted.migration_id} broke off without an '
                'outcome; look at both ends'
            )
        return self._ended

    def check(self) -> tuple[events.Check, ...]:
        """Ask both ends, and return what every check found.

        :raises HypervisorUnreachable: when the source does not answer
        :raises NotFound: when it has no such instance
        """
        hypervisor = open_driver(self._asked.source)
        try:
            hypervisor.connect()
            view = hypervisor.view(self._asked.instance)
            merged, found = preflight.read_wishes(self._options, view.asks)
            wanted = self._request(view, merged)
            return (
                *found,
                *preflight.look(hypervisor, wanted),
                service.UNRESERVED,
            )
        finally:
            hypervisor.close()

    def _request(
        self,
        view: driver.InstanceView,
        granted: request.Options,
        predicted: plan.Prediction | None = None,
        notes: tuple[str, ...] = (),
    ) -> request.Request:
        asked = self._asked
        return request.Request(
            migration_id=str(uuid.uuid4()),
            instance=view.id,
            source=_host_of(asked.source),
            destination=_host_of(asked.destination),
            destination_uri=asked.destination,
            accepted_at=self._accepted_at,
            migration_address=asked.migration_address,
            options=granted,
            predicted=predicted,
            notes=notes,
        )

    def _conclude(self, ended: outcome.Outcome) -> None:
        self._ended = ended

    def _wait(
        self, runner: service.MigrationRunner, shown: progress.Display
    ) -> None:
        def interrupted(number: int, frame: object) -> None:
            self._interrupts += 1
            if self._interrupts > 1:
                raise KeyboardInterrupt
            runner.cancel(f'{signal.Signals(number).name} from the operator')
            shown.note(
                'cancelling, and waiting until both ends agree; once more '
                'leaves the migration alone'
            )

        before = {one: signal.signal(one, interrupted) for one in _SIGNALS}
        try:
            runner.start()
            # A signal that another thread is interrupted by is seen here
            # only when this one wakes up.
            while not runner.wait(_WAKE_SECONDS):
                pass
        except KeyboardInterrupt:
            shown.note(
                f'migration {runner.request.migration_id} of '
                f'{runner.request.instance} is left alone and may still run; '
                'look at both ends before you do anything to it'
            )
            raise
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def open_driver(uri: str) -> driver.Driver:
    """Make the driver of a libvirt; nothing is connected yet.

    :raises ConfigurationError: when libvirt-python is not installed
    """
    try:
        from kvm_balancer.virt import ownership
        from kvm_balancer.virt.libvirt import driver as libvirt_driver
    except ModuleNotFoundError as error:
        if error.name != 'libvirt':
            raise
        raise errors.ConfigurationError(
            'libvirt-python is not installed: pip install '
            "'kvm-balancer[libvirt]'"
        ) from error
    return libvirt_driver.LibvirtDriver(
        libvirt_driver.Params(uri=uri, manage=ownership.BY_HAND)
    )


def _libvirt_uri(text: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if not parts.scheme or not (parts.netloc or parts.path.strip('/')):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no libvirt URI, as qemu+ssh://host/system is'
        )
    return text


def _host_of(uri: str) -> str:
    """Return the name that a URI gives to its host; else the URI itself."""
    return urllib.parse.urlsplit(uri).hostname or uri
