"""One migration by hand: what ``kvm-balancer migrate`` does when asked.

Asks the source for the instance, predicts, checks or migrates, and waits;
how that is shown is no matter of it, nor is what was asked for.
"""

import argparse
import dataclasses
import signal
import time
import urllib.parse
import uuid

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import drawing
from kvm_balancer.cmd import limits
from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.cmd import preflight
from kvm_balancer.cmd import progress
from kvm_balancer.cmd import startup
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.options import forgone
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import forecast
from kvm_balancer.service import measuring
from kvm_balancer.service import migrations as service
from kvm_balancer.service import network
from kvm_balancer.service import reserved
from kvm_balancer.virt import driver

_WAKE_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Errand:
    """One migration, from the command line to its outcome."""

    def __init__(
        self, conf: cfg.ConfigOpts, asked: argparse.Namespace
    ) -> None:
        self._asked = asked
        self._bandwidth_mib_s: float = conf.host.migration_mib_s
        self._network = network.terms(conf)
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
            self._heed_interface(
                hypervisor, self._request(view, merged.options)
            )
            guest = self._guest(hypervisor, view, shown)
            if guest.writes is None and self._asked.measure is None:
                shown.note(
                    f'how {view.name} writes is not known: it is predicted as '
                    'if idle; --measure SECONDS tells more'
                )
            wanted = self._request(
                view,
                merged.options,
                forecast.predict(
                    guest,
                    merged.options,
                    self._bandwidth_mib_s,
                    self._convergence().manner,
                ),
                merged.changes,
            )
            shown.begin(view.name, wanted)
            if disks := self._disks(view, merged.options):
                shown.note(disks.removeprefix('; '))
            runner = service.MigrationRunner(
                hypervisor,
                machine.Machine(wanted, self._convergence()),
                lambda _, report: shown.show(report),
                lambda ended: self._conclude(runner, ended),
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

    def check(self, shown: progress.Display) -> tuple[events.Check, ...]:
        """Ask both ends, and return what every check found.

        One alone where the source does not answer, or has no such instance.
        """
        hypervisor = open_driver(self._asked.source)
        try:
            try:
                hypervisor.connect()
                view = hypervisor.view(self._asked.instance)
            except (errors.HypervisorUnreachable, errors.NotFound) as error:
                return (preflight.no_source(error),)
            merged, found = preflight.read_wishes(self._options, view.asks)
            wanted = self._request(view, merged)
            self._heed_interface(hypervisor, wanted)
            looked = preflight.look(hypervisor, wanted)
            seen = self._guest(hypervisor, view, shown)
            granted = forgone.settle(merged, looked)
            return (
                *found,
                *looked,
                network.Network(hypervisor, self._network).outgoing(wanted),
                reserved.UNRESERVED,
                preflight.foresee(
                    forecast.predict(
                        seen,
                        granted,
                        self._bandwidth_mib_s,
                        self._convergence().manner,
                    ),
                    seen.writes is not None,
                    self._disks(view, granted),
                ),
            )
        finally:
            hypervisor.close()

    def _heed_interface(
        self, hypervisor: driver.Driver, wanted: request.Request
    ) -> None:
        """Expect no more of the network than the interface says of itself."""
        told = network.Network(hypervisor, self._network).carries(
            wanted.stream_address, incoming=False
        )
        if told:
            self._bandwidth_mib_s = min(self._bandwidth_mib_s, told)

    def _disks(
        self, view: driver.InstanceView, options: request.Options
    ) -> str:
        """Say what copying disks adds to what is predicted of the memory."""
        seconds = forecast.disk_seconds(
            view.disk_mib, options, self._bandwidth_mib_s
        )
        if not seconds:
            return ''
        return (
            f'; up to {view.disk_mib:,.0f} MiB of disks before that, '
            f'{drawing.duration(seconds)}'
        )

    def _guest(
        self,
        hypervisor: driver.Driver,
        view: driver.InstanceView,
        shown: progress.Display,
    ) -> forecast.Guest:
        """Ask for what a prediction has to know, and measure if asked to."""
        found = forecast.guest(hypervisor, view)
        seconds: int | None = self._asked.measure
        if seconds is None:
            return found
        shown.note(f'how {view.name} writes is measured for {seconds} s')
        try:
            writes = measuring.measure(
                hypervisor, view.id, found.memory_mib, seconds
            )
        except errors.MigrationError as error:
            shown.note(f'{view.name}: {error}; it is taken for idle')
            return found
        shown.note(f'{view.name} {wording.writing(writes)}')
        # Now that some time has gone by, its host tells what it computes.
        found = forecast.guest(hypervisor, view)
        return dataclasses.replace(found, writes=writes)

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
            source=host_of(asked.source),
            destination=host_of(asked.destination),
            destination_uri=asked.destination,
            # what was measured before is no part of it
            accepted_at=time.time(),
            migration_address=asked.migration_address,
            options=granted,
            predicted=predicted,
            notes=notes,
        )

    def _conclude(
        self, runner: service.MigrationRunner, ended: outcome.Outcome
    ) -> None:
        self._ended = ended
        if ended.outcome is outcome.OutcomeKind.UNKNOWN:
            # Nobody is there to look into it for as long as it takes.
            runner.leave()

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


def host_of(uri: str) -> str:
    """Return the name that a URI gives to its host; else the URI itself."""
    return urllib.parse.urlsplit(uri).hostname or uri
