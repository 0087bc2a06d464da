"""A Linux guest keeps disk, clock, timers and network on the way."""

import queue
import time
import uuid

from testtools import content

from kvm_balancer import errors
from kvm_balancer.lab import announcements
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import network
from kvm_balancer.lab import pinger
from kvm_balancer.lab import prerequisites
from kvm_balancer.lab import status
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import migrations
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import driver
from tests.lab import ground

_PATIENCE_SECONDS = 600


class AtOnce(contract.Convergence):
    """Goes over to post-copy at the end of the first pass."""

    def begin(self, options, predicted, at):
        return contract.Settings(options, downtime_ms=1)

    def judge(self, statistics, at, boundary):
        kind = contract.StartPostCopy if boundary else contract.CarryOn
        return kind('the test wants it')


class _Case(ground.LabTestCase):
    letter = 'n'
    local_disks = False

    def setUp(self):
        super().setUp()
        prerequisites.check(services=False, linux=True)
        wanted = description.describe(self.directory, self.name, hosts=2)
        wanted = description.with_linux_guests(
            wanted, 1, local_disks=self.local_disks
        )
        self.lab = fleet.Lab(wanted)
        self.addCleanup(self.lab.down)
        self.lab.up()
        (self.guest,) = self.lab.linux_guests
        self.addOnException(self._tell_of_guest)

    def _tell_of_guest(self, _):
        """Keep what tells a guest that hangs from a network that does."""
        told = [repr(self.guest.report())]
        virsh = ('virsh', '-c', 'qemu:///system')
        monitor = (*virsh, 'qemu-monitor-command', '--hmp', self.guest.name)
        for host in self.lab.hosts:
            for command in (
                (*virsh, 'domstate', '--reason', self.guest.name),
                (*monitor, 'info status'),
                (*monitor, 'info migrate'),
                # Twice: a CPU that runs stands elsewhere the second time.
                (*monitor, 'info registers'),
                (*monitor, 'info registers'),
            ):
                try:
                    said = host.run(command)
                except errors.LabError as error:
                    said = str(error)
                told.append(f'{host.name}: {" ".join(command)}\n{said}')
            told.append(f'{host.name}: {host.forwarding()}')
        told.append(str(network.forwarding(self.lab.description.bridge)))
        self.addDetail('guest', content.text_content('\n'.join(told)))

    def _driver(self, host):
        made = driver.LibvirtDriver(
            driver.Params(
                uri=host.uri, manage=ownership.BY_HAND, poll_seconds=0.1
            )
        )
        self.addCleanup(made.close)
        made.connect()
        return made

    def _migrate(self, source, destination, policy, **options):
        """Return the outcome of a migration by the executor's own means."""
        outcomes = queue.SimpleQueue()
        life = machine.Machine(
            request.Request(
                migration_id=str(uuid.uuid4()),
                instance=self.guest.uuid,
                source=source.name,
                destination=destination.name,
                destination_uri=destination.uri,
                accepted_at=time.time(),
                options=request.Options(auto_converge=False, **options),
            ),
            policy,
        )
        migrations.MigrationRunner(
            self._driver(source), life, lambda *_: None, outcomes.put
        ).start()
        return outcomes.get(timeout=_PATIENCE_SECONDS)

    def _way(self):
        """Return by whose cable the lab's bridge reaches the guest."""
        table = network.forwarding(self.lab.description.bridge)
        return table.get(self.guest.mac)

    def _assert_well(self, host, word):
        """The guest goes on, on *host* alone, with all its devices."""
        self.guest.wait_for_rounds(2)
        self.guest.tell(host, word)
        seen = status.look(self.lab)
        self.assertEqual((), seen.problems)
        self.assertEqual((host.name,), seen.linux_guests[0].hosts)


class LinuxGuestTest(_Case):
    def test_devices_clock_and_network_come_along_in_both_modes(self):
        one, two = self.lab.hosts
        cables = [host.description.interface for host in (one, two)]
        with (
            pinger.Pinger(self.guest.address) as ping,
            announcements.Listener(cables) as announced,
        ):
            ping.wait_for_answers()
            self.assertEqual(cables[0], self._way())
            for source, destination, mode, policy, options in (
                (one, two, plan.Mode.PRE_COPY, adaptive.Adaptive(), {}),
                (
                    two,
                    one,
                    plan.Mode.POST_COPY,
                    AtOnce(),
                    {'post_copy': True, 'bandwidth_mib_s': 16},
                ),
            ):
                began_ns = time.time_ns()
                ended = self._migrate(source, destination, policy, **options)
                self.assertEqual(
                    outcome.OutcomeKind.COMPLETED, ended.outcome, ended
                )
                self.assertEqual(mode, ended.mode)

                cable = destination.description.interface
                heard = announced.wait(self.guest.mac, cable, began_ns)
                ping.wait_for_answers(10)
                self.assertEqual(cable, self._way())
                inside = destination.forwarding()[self.guest.mac]
                self.assertNotEqual(network.INSIDE, inside)

                self._assert_well(destination, f'on-{destination.name}')
                gap = ping.gap(began_ns)
                self.addDetail(
                    f'gap-{mode}',
                    content.text_content(
                        f'{gap.microseconds} us without an answer to ping, '
                        f'announced '
                        f'{(heard.at_ns - gap.began_ns) // 1000} us after '
                        f'the last one; {ended.downtime_ms} ms downtime'
                    ),
                )


class LocalDiskTest(_Case):
    local_disks = True

    def test_a_local_disk_arrives_whole_when_libvirt_copies_it(self):
        one, two = self.lab.hosts
        image = two.images / f'{self.guest.name}.qcow2'
        self.assertFalse(image.exists())
        one.run(
            [
                'virsh',
                'migrate',
                '--live',
                '--p2p',
                '--persistent',
                '--undefinesource',
                '--copy-storage-all',
                self.guest.name,
                two.uri,
            ],
            timeout_seconds=_PATIENCE_SECONDS,
        )
        self.assertTrue(image.exists())
        # So long that each block that was copied has been read back.
        self.guest.wait_for_rounds(9)
        self._assert_well(two, 'on-two')
