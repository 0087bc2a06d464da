"""``kvm-balancer migrate``: one migration by hand, without bus or agent.

``[executor] manage`` does not apply, because a person named the instance;
Nova's metadata does. The first Ctrl-C asks for the end of the migration and
waits until both ends were looked at; the second leaves it alone, which the
hypervisors carry on with by themselves.
"""

import argparse
import dataclasses
import signal
import time
from typing import Any
import urllib.parse
import uuid

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import migrations
from kvm_balancer.cmd import progress
from kvm_balancer.cmd import startup
from kvm_balancer.conf import migration as options
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import machine
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations as service
from kvm_balancer.virt import driver

_EPILOG = (
    'Exit codes: 0 completed; 1 failed, cancelled or unknown; 2 the command '
    'line or the configuration is wrong; 130 cancelled by Ctrl-C. The first '
    'Ctrl-C cancels and waits for the verified end, the second leaves the '
    'migration to the hypervisors.'
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
        _add_limits(parser)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[list[str], list[Any]]:
        if parsed_args.source == parsed_args.destination:
            raise errors.ConfigurationError(
                'source and destination are the same host'
            )
        self._errand = _Errand(self.app.conf, parsed_args)
        with progress.display(self.app.stderr) as shown:
            ended = self._errand.run(shown)
        row = messages.encode_outcome(ended)
        return listing.arranged(self.columns, row, parsed_args.formatter)

    def run(self, parsed_args: argparse.Namespace) -> int:
        return int(super().run(parsed_args) or self._errand.exit_code)


class _Errand:
    """One migration, from the command line to its outcome."""

    def __init__(
        self, conf: cfg.ConfigOpts, asked: argparse.Namespace
    ) -> None:
        self._accepted_at = time.time()
        self._asked = asked
        self._options = _options(conf, asked)
        self._convergence = load_convergence(conf)
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
            wanted = self._request(hypervisor)
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

    def _request(self, hypervisor: driver.Driver) -> request.Request:
        asked = self._asked
        view = hypervisor.view(asked.instance)
        if view.owner_reason:
            raise errors.MigrationError(
                f'instance {view.name} is not to be moved: {view.owner_reason}'
            )
        return request.Request(
            migration_id=str(uuid.uuid4()),
            instance=view.id,
            source=_host_of(asked.source),
            destination=_host_of(asked.destination),
            destination_uri=asked.destination,
            accepted_at=self._accepted_at,
            migration_address=asked.migration_address,
            options=self._options,
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


def load_convergence(conf: cfg.ConfigOpts) -> type[contract.Convergence]:
    """Return the plugin that ``[migration] convergence`` names.

    :raises PluginError: when there is none, or it does not load
    """
    # It knows the planner as well, which --help has no use for.
    from kvm_balancer.service import plugins

    return plugins.load_class(
        'convergence', conf[options.GROUP].convergence, contract.Convergence
    )


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


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Add what goes before the options of group ``migration``."""
    parser.add_argument(
        '--post-copy',
        action=argparse.BooleanOptionalAction,
        help='Let the instance run on the destination before all of its '
        'memory is there, when it does not converge otherwise.',
    )
    parser.add_argument(
        '--auto-converge',
        action=argparse.BooleanOptionalAction,
        help='Slow the instance down when it does not converge.',
    )
    parser.add_argument(
        '--bandwidth',
        dest='bandwidth_mib_s',
        type=arguments.whole_number(0, 1_000_000),
        metavar='MIB_S',
        help='Limit of the memory stream in MiB per second; 0 for none.',
    )
    parser.add_argument(
        '--max-downtime',
        dest='max_downtime_ms',
        type=arguments.whole_number(1, 2_000_000),
        metavar='MS',
        help='Longest stop that the instance is allowed, in milliseconds.',
    )


def _options(
    conf: cfg.ConfigOpts, asked: argparse.Namespace
) -> request.Options:
    """Return the configured options with what was asked for instead."""
    given = {
        name: getattr(asked, name)
        for name in (
            'post_copy',
            'auto_converge',
            'bandwidth_mib_s',
            'max_downtime_ms',
        )
        if getattr(asked, name) is not None
    }
    return dataclasses.replace(options.options(conf), **given)


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
