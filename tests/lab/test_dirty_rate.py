"""A real QEMU is measured, and what that predicts of its migration holds."""

import queue
import time
import uuid

import msgspec

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import prerequisites
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import dirty_rates
from kvm_balancer.service import forecast
from kvm_balancer.service import migrations
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import driver
from tests.lab import ground

#: QEMU looks at 512 pages a GiB: of this guest, at half of them.
_MEMORY_MIB = 512
_FULL = bootsector.Load(cpu=0.0, dirty_mib_s=400, working_set_mib=300)
_SWEEP = bootsector.Load(cpu=0.0, dirty_mib_s=40, working_set_mib=80)
#: The shorter one sees how fast it writes, the longer one how much of it is
#: written over and over, also when a busy machine lets it sweep slowly.
_WINDOWS_SECONDS = (1, 8)
_ROUNDS = 3
_LINK_MIB_S = 40
#: Ethernet, IP and TCP take this share of a link.
_FRAMES = 0.957
_PATIENCE_SECONDS = 600.0


class DirtyRateTest(ground.LabTestCase):
    letter = 'd'

    def _up(self):
        prerequisites.check(services=False)
        wanted = description.with_guests(
            description.describe(self.directory, self.name, hosts=2), 1
        )
        guest = msgspec.structs.replace(
            wanted.guests[0], memory_mib=_MEMORY_MIB, load=_FULL
        )
        lab = fleet.Lab(msgspec.structs.replace(wanted, guests=(guest,)))
        self.addCleanup(lab.down)
        lab.up()
        lab.guests[0].wait_for_rounds(1, _PATIENCE_SECONDS)
        lab.set_load(lab.guests[0], lab.hosts[0], _SWEEP)
        lab.guests[0].wait_for_rounds(1, _PATIENCE_SECONDS)
        return lab

    def _measured(self, source, guest):
        """Return the sample of a guest, its row, and how fast it swept.

        A busy machine lets it write less than it was told to: what it tells
        itself of its rounds is what the measurement has to find.
        """
        rates = dirty_rates.DirtyRates(
            source,
            dirty_rates.Params(0.001, _WINDOWS_SECONDS),
            lambda _: True,
        )
        guest.wait_for_rounds(1)
        began, before = time.monotonic(), guest.report().rounds
        for _ in range(_ROUNDS):
            rates.fill(source.read().instances)
            self.assertTrue(rates.measure_next())
        guest.wait_for_rounds(1)
        seconds = time.monotonic() - began
        swept = guest.report().rounds - before
        seen = rates.fill(source.read().instances)
        return (
            seen,
            seen.id.index(guest.uuid),
            swept * _SWEEP.working_set_mib / seconds,
        )

    def test_what_was_measured_predicts_the_migration(self):
        lab = self._up()
        source = driver.LibvirtDriver(
            driver.Params(uri=lab.hosts[0].uri, manage=ownership.BY_HAND)
        )
        self.addCleanup(source.close)
        seen, row, mib_s = self._measured(source, lab.guests[0])
        # Of the 256 pages that are looked at a sixth is hot: a standard
        # deviation of 14 %, and of 9 % over three rounds.
        self.assertAlmostEqual(
            1.0, seen.hot_set_mib[row] / _SWEEP.working_set_mib, delta=0.35
        )
        self.assertAlmostEqual(
            1.0, seen.dirty_rate_mib_s[row] / mib_s, delta=0.5
        )
        self.assertLess(seen.cold_rate_mib_s[row], 5.0)

        options = request.Options(auto_converge=False, post_copy=True)
        predicted = forecast.predict(
            forecast.of_row(seen, row), options, _LINK_MIB_S * _FRAMES
        )
        ended = self._migrate(lab, source, lab.guests[0].uuid, options)
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome, ended)
        self.assertAlmostEqual(
            1.0, predicted.mib / ended.transferred_mib, delta=0.2
        )
        # A busy machine makes it last longer, and nothing makes it shorter.
        self.assertLess(
            0.75 * predicted.seconds, ended.total_ms / 1000.0, ended
        )
        # What was seen of its stream is what it is predicted to take.
        self.assertIsNotNone(ended.copying_ms)
        seconds = ended.copying_ms / 1000.0
        again = forecast.predict(
            forecast.of_row(seen, row),
            options,
            ended.transferred_mib / seconds,
        )
        self.assertAlmostEqual(
            1.0, (again.seconds - again.fixed_seconds) / seconds, delta=0.25
        )

    def _migrate(self, lab, source, uid, options):
        there = lab.hosts[1]
        for host in lab.hosts:
            host.limit_bandwidth(_LINK_MIB_S)
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=uid,
            source='here',
            destination='there',
            destination_uri=there.uri,
            accepted_at=time.time(),
            options=options,
        )
        outcomes = queue.SimpleQueue()
        migrations.MigrationRunner(
            source,
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            outcomes.put,
        ).start()
        return outcomes.get(timeout=_PATIENCE_SECONDS)
