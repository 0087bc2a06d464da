"""With leases no guest runs twice, not even where libvirt would have it so.

libvirt's own window: the source has sent all of a guest, and the call that
has the destination start it gets lost, or the answer to that call does. The
source then starts the guest again, wherever else it runs.
"""

import contextlib
import os
import pathlib
import signal
import threading

import libvirt

from kvm_balancer import errors
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import network
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab import waiting
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import leases
from tests.lab import ground

_LIBVIRT_PORT = 16509
_FLAGS = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
_RUNNING = events.EndState.RUNNING
_PATIENCE_SECONDS = 300.0


class LeaseTest(ground.LabTestCase):
    letter = 'k'

    def setUp(self):
        super().setUp()
        prerequisites.check(services=False, leases=True)
        wanted = description.describe(
            self.directory,
            self.name,
            hosts=2,
            keepalive_seconds=1,
            leases=True,
        )
        self.lab = fleet.Lab(description.with_guests(wanted, 1))
        self.addCleanup(self.lab.down)
        self.lab.up()
        (self.guest,) = self.lab.guests
        self.here, self.there = self.lab.hosts

    def test_a_guest_is_started_once_whatever_gets_lost(self):
        self._assert_no_second_start(self.here, self.there)

        # The lease goes along, with all modes of a migration.
        self._migrate(self.here, self.there)
        self._assert_no_second_start(self.there, self.here)
        self._migrate(
            self.there,
            self.here,
            libvirt.VIR_MIGRATE_POSTCOPY,
            lambda domain: domain.migrateStartPostCopy(0),
        )
        self._assert_no_second_start(self.here, self.there)

        # The destination never hears that it should start the guest.
        libvirtd = self.there.processes.find('libvirtd').pid
        with self.assertRaises(errors.LabError):
            self._migrate(
                self.here,
                self.there,
                0,
                lambda _: os.kill(libvirtd, signal.SIGSTOP),
            )
        self.assertEqual(_RUNNING, self._state(self.here))
        os.kill(libvirtd, signal.SIGCONT)
        # Now it hears; and does not get the lease.
        self._wait_for(self.there, events.EndState.ABSENT)
        self.assertEqual(_RUNNING, self._state(self.here))
        self.guest.wait_for_rounds()

        # The destination starts the guest, and the source never hears of it.
        with self.assertRaises(errors.LabError):
            self._migrate(
                self.here,
                self.there,
                0,
                lambda _: network.hold(
                    self.there.holder,
                    _LIBVIRT_PORT,
                    self.here.address,
                    answers=True,
                ),
            )
        self.assertEqual(_RUNNING, self._state(self.there))
        self.assertEqual(
            events.EndState.PAUSED_MIGRATION, self._state(self.here)
        )
        # Whoever takes the source for the one that was left is told so.
        error = self.assertRaises(libvirt.libvirtError, self._resume)
        self.assertIn('is locked', str(error))
        self.guest.wait_for_rounds()
        self.assertEqual(0, self.guest.report().damaged)

    def _resume(self):
        with self._domain(self.here) as domain:
            domain.resume()

    def _assert_no_second_start(self, runs, other):
        with self._domain(runs) as domain:
            xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)
        root = pathlib.Path(f'/proc/{runs.holder}/root')
        seen = leases.check(
            documents.read_domain(xml), events.End(_RUNNING), True, root
        )
        self.assertEqual(events.Verdict.PASSED, seen.verdict, seen)
        with contextlib.closing(other.connect()) as connection:
            error = self.assertRaises(
                libvirt.libvirtError, connection.createXML, xml
            )
        self.assertEqual(
            libvirt.VIR_ERR_RESOURCE_BUSY, error.get_error_code(), error
        )

    def _migrate(self, source, destination, flags=0, midway=None):
        """Migrate, and do something while the guest is copied.

        It is copied slowly until that was done, and then at once.

        :raises LabError: when libvirt says that it failed
        """
        failed = []

        def call():
            with self._domain(source) as domain:
                try:
                    domain.migrateToURI3(
                        destination.uri,
                        {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: 1},
                        _FLAGS | flags,
                    )
                except libvirt.libvirtError as error:
                    failed.append(error)

        caller = threading.Thread(target=call)
        with self._domain(source) as domain:
            caller.start()
            waiting.until(
                lambda: failed or _copied(domain),
                'some of the guest to be copied',
                _PATIENCE_SECONDS,
            )
            if midway:
                midway(domain)
            with contextlib.suppress(libvirt.libvirtError):
                domain.migrateSetMaxSpeed(100_000, 0)
        caller.join(_PATIENCE_SECONDS)
        if failed:
            raise errors.LabError(str(failed[0]))

    @contextlib.contextmanager
    def _domain(self, host):
        with contextlib.closing(host.connect()) as connection:
            yield connection.lookupByUUIDString(self.guest.uuid)

    def _state(self, host):
        with contextlib.closing(host.connect()) as connection:
            try:
                domain = connection.lookupByUUIDString(self.guest.uuid)
                return ends.end_state(*domain.state())
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                return events.EndState.ABSENT

    def _wait_for(self, host, state):
        waiting.until(
            lambda: self._state(host) is state,
            f'the guest to be {state} on {host.name}',
            _PATIENCE_SECONDS,
        )


def _copied(domain):
    return domain.jobStats().get('memory_processed', 0) > 0
