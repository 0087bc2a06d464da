"""What is the libvirt driver's own, on real libvirtd and QEMU."""

import os
import signal
import threading
import time
import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import driver
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

_OURS = ownership.NAMESPACE


class _Case(unittest.TestCase):
    manage = ownership.BY_HAND

    def setUp(self):
        self.ground = hosts.LibvirtGround(self.manage)
        self.addCleanup(self.ground.close)

    def story(self, *args, **options):
        story = grounds.Story(
            self.ground.source, self.ground.wanted(*args, **options)
        )
        self.addCleanup(story.carrier.close)
        return story

    def row(self, source, uid):
        reading = source.read().instances
        at = reading.id.index(uid)
        return {
            name: getattr(reading, name)[at]
            for name in ('owner', 'state', 'cpu_usage', 'vcpus')
        }

    def asks(self, uid):
        reading = self.ground.source.read().instances
        return dict(zip(reading.id, reading.asks, strict=False)).get(uid, ())


class SamplingTest(_Case):
    manage = ownership.Manage(ownership.Rule.METADATA)

    def test_a_mark_that_changes_is_heard_of(self):
        uid = self.ground.calm()
        self.assertEqual('none', self.row(self.ground.source, uid)['owner'])
        self.assertEqual((), self.asks(uid))
        heard = threading.Event()
        link = connection.Connection(
            self.ground.here.uri,
            on_open=lambda handle: [
                handle.domainEventRegisterAny(
                    None,
                    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                    lambda *_: heard.set(),
                    None,
                )
            ],
        )
        self.addCleanup(link.close)
        link.call(
            lambda handle: handle.lookupByUUIDString(uid).setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                '<instance><manage>true</manage><migration>'
                '<max_downtime_ms>50</max_downtime_ms></migration></instance>',
                'b',
                _OURS,
                libvirt.VIR_DOMAIN_AFFECT_LIVE,
            )
        )
        self.assertTrue(heard.wait(grounds.PATIENCE_SECONDS))
        self.assertEqual(
            'balancer', self.row(self.ground.source, uid)['owner']
        )
        self.assertEqual((('max_downtime_ms', '50'),), self.asks(uid))

    def test_plans_count_on_no_post_copy_that_its_memory_cannot_have(self):
        wish = (
            f'<instance xmlns="{_OURS}"><migration><post_copy>{{}}</post_copy>'
            '</migration></instance>'
        )
        for metadata, told in (
            ('', 'false'),
            (wish.format('true'), 'false'),
            (wish.format('who knows'), 'who knows'),
        ):
            uid = self.ground.start(
                'calm',
                metadata=metadata,
                terms="<memoryBacking><source type='file'/></memoryBacking>",
            )
            self.row(self.ground.source, uid)
            self.assertEqual((('post_copy', told),), self.asks(uid))

    def test_a_guest_that_started_anew_has_no_rate_of_its_past(self):
        uid = self.ground.busy()
        self.row(self.ground.source, uid)
        domain = self.ground.domain(uid)
        xml = domain.XMLDesc(0)
        domain.destroy()
        domain.connect().createXML(xml)
        usage = self.row(self.ground.source, uid)['cpu_usage']
        self.assertGreaterEqual(usage, 0.0)
        self.assertLess(usage, 4.0)

    def test_both_ends_are_read_while_a_migration_runs(self):
        uid = self.ground.busy()
        ground = hosts.LibvirtGround()
        self.addCleanup(ground.close)
        story = grounds.Story(ground.source, ground.wanted(uid))
        self.addCleanup(story.carrier.close)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(events.PassEnded)
        self.assertEqual(
            'outgoing', self.row(self.ground.source, uid)['state']
        )
        self.assertEqual(
            'incoming', self.row(self.ground.destination, uid)['state']
        )
        story.perform(instructions.Abort())
        story.until(events.CallReturned)
        reading = self.ground.destination.read()
        self.assertNotIn(uid, reading.instances.id)


class PreflightTest(_Case):
    def failure(self, story):
        (failure,) = story.failures()
        return failure

    def test_a_local_disk_is_not_there_on_the_other_host(self):
        path = self.ground.lab.directory / 'disk.img'
        path.write_bytes(bytes(2**20))
        uid = self.ground.start(
            'calm',
            devices=f'<disk type="file" device="disk"><source file="{path}"/>'
            '<target dev="vda" bus="virtio"/></disk>',
        )
        # From afar the file system of the source cannot be seen.
        check = self.story(uid).check()['storage']
        self.assertEqual(events.Verdict.UNKNOWN, check.verdict)
        story = self.story(uid)
        story.perform(instructions.Start())
        error = story.until(events.CallReturned).error
        self.assertIn('storage is unsafe', error)

    def test_a_host_is_no_destination_for_itself(self):
        story = self.story(self.ground.calm(), self.ground.here.uri)
        self.assertEqual('hosts', self.failure(story).name)

    def test_a_namesake_on_the_destination_stands_in_the_way(self):
        uid = self.ground.calm()
        xml = self.ground.domain(uid).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        link = connection.Connection(self.ground.there.uri)
        self.addCleanup(link.close)
        link.call(lambda handle: handle.defineXML(xml))
        self.addCleanup(
            link.call,
            lambda handle: handle.lookupByUUIDString(uid).undefine(),
        )
        self.assertEqual('identity', self.failure(self.story(uid)).name)

    def test_an_instance_that_is_being_migrated_is_left_to_that(self):
        uid = self.ground.busy()
        first = self.story(uid)
        first.perform(instructions.SetDowntime(1), instructions.Start())
        first.until(events.PassEnded)
        names = [one.name for one in self.story(uid).failures()]
        self.assertEqual(['state', 'identity'], names)
        first.perform(instructions.Abort())
        first.until(events.CallReturned)

    def test_parallel_streams_and_post_copy_need_a_newer_qemu(self):
        story = self.story(
            self.ground.calm(), post_copy=True, parallel_connections=2
        )
        self.assertEqual('options', self.failure(story).name)


class MeansTest(_Case):
    def test_a_persistent_paused_instance_arrives_paused_and_leaves_no_twin(
        self,
    ):
        uid = self.ground.calm()
        domain = self.ground.domain(uid)
        domain.connect().defineXML(
            domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        )
        domain.suspend()
        story = self.story(uid, post_copy=True)
        self.assertEqual([], story.failures())
        story.perform(instructions.Start())
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertEqual(
            (events.EndState.ABSENT, events.EndState.PAUSED), story.ends()
        )
        arrived = self.ground.domain(uid, host=1)
        self.assertTrue(arrived.isPersistent())
        arrived.undefine()

    def test_parallel_streams_and_compression_carry_a_guest_over(self):
        for means in (
            {'parallel_connections': 2},
            {'compression': 'xbzrle'},
            {
                'auto_converge': True,
                'auto_converge_initial_percent': 30,
                'auto_converge_increment_percent': 5,
            },
        ):
            with self.subTest(**means):
                story = self.story(self.ground.calm(), **means)
                story.perform(instructions.Start())
                self.assertEqual('', story.until(events.CallReturned).error)


class EncryptionTest(unittest.TestCase):
    def test_control_and_memory_travel_encrypted(self):
        ground = hosts.LibvirtGround(tls=True)
        self.addCleanup(ground.close)
        self.assertTrue(ground.destination_uri().startswith('qemu+tls:'))
        story = grounds.Story(
            ground.source, ground.wanted(ground.calm(), tls=True)
        )
        self.addCleanup(story.carrier.close)
        self.assertEqual([], story.failures())
        story.perform(instructions.Start())
        self.assertEqual('', story.until(events.CallReturned).error)
        self.assertEqual(
            (events.EndState.ABSENT, events.EndState.RUNNING), story.ends()
        )


class FaultTest(_Case):
    def params(self, **timing):
        return driver.Params(
            uri=self.ground.there.uri, timing=connection.Timing(**timing)
        )

    def test_a_libvirtd_that_comes_back_is_found_again(self):
        link = connection.Connection(self.ground.there.uri)
        self.addCleanup(link.close)
        link.call(lambda handle: handle.getHostname())
        self.ground.there.kill('libvirtd')
        with self.assertRaises(errors.HypervisorUnreachable) as raised:
            while True:
                link.call(lambda handle: handle.getHostname())
        self.assertNotIn('\n', str(raised.exception))
        self.ground.there.start_libvirtd()
        self.ground.there.wait()
        self.assertTrue(link.call(lambda handle: handle.getHostname()))

    def test_a_libvirtd_that_hangs_is_waited_for_a_bounded_time(self):
        hung = driver.LibvirtDriver(self.params(open_seconds=0.5))
        self.addCleanup(hung.close)
        self.ground.there.kill('libvirtd', signal.SIGSTOP)
        self.addCleanup(self.ground.there.kill, 'libvirtd', signal.SIGCONT)
        for _ in range(2):
            with self.assertRaises(errors.HypervisorUnreachable):
                hung.connect()

    def test_a_guest_whose_qemu_hangs_is_read_around(self):
        hung, well = self.ground.calm(), self.ground.calm()
        self.ground.source.read()
        pid = self.ground.process(hung)
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        for _ in range(5):
            found = self.ground.source.read().instances
            self.assertLessEqual({hung, well}, set(found.id))
            memory = found.memory_mib[found.id.index(hung)]
            self.assertEqual(64.0, memory)

    def test_a_stream_that_breaks_in_post_copy_leaves_both_ends_waiting(self):
        uid = self.ground.busy()
        story = self.story(uid, post_copy=True, bandwidth_mib_s=4)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(events.PassEnded)
        story.perform(instructions.StartPostCopy())
        story.until(events.PostCopyBegun)
        # The source says so first; a stream that is cut before the
        # destination runs takes the destination's QEMU with it.
        story.until_ends(events.EndState.POST_COPY, events.EndState.POST_COPY)
        self.ground.here.run(
            [
                'ss',
                '-K',
                'dst',
                self.ground.there.address,
                'dport',
                'ge',
                '49152',
            ]
        )
        story.until(events.PostCopyBroke)
        self.assertTrue(story.until(events.CallReturned).error)
        broken = events.EndState.POST_COPY_FAILED
        self.assertEqual((broken, broken), story.ends())

    def test_keepalive_ends_a_call_that_gets_no_answer(self):
        hung = driver.LibvirtDriver(
            self.params(keepalive_seconds=1, keepalive_count=1)
        )
        self.addCleanup(hung.close)
        hung.connect()
        self.ground.there.kill('libvirtd', signal.SIGSTOP)
        self.addCleanup(self.ground.there.kill, 'libvirtd', signal.SIGCONT)
        with self.assertRaises(errors.HypervisorUnreachable):
            hung.connect()

    def test_a_limit_that_is_set_while_the_call_begins_holds(self):
        """libvirt forgets it when the copy starts: it is set once more."""
        uid = self.ground.busy()
        until = time.monotonic() + grounds.PATIENCE_SECONDS
        story = self.story(uid, bandwidth_mib_s=1)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        domain = self.ground.domain(uid)
        while not domain.jobInfo()[0]:
            self.assertLess(time.monotonic(), until)
        story.perform(instructions.SetBandwidth(3))
        while not story.until(events.Progressed).statistics.total_mib:
            pass
        while domain.migrateGetMaxSpeed(0) != 3:
            self.assertLess(time.monotonic(), until)
        story.perform(instructions.Abort())
        story.until(events.CallReturned)

    def test_a_destination_that_died_is_unreachable_and_not_absent(self):
        uid = self.ground.busy()
        story = self.story(uid)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(events.PassEnded)
        self.ground.there.kill('libvirtd')
        self.addCleanup(self.ground.there.wait)
        self.addCleanup(self.ground.there.start_libvirtd)
        returned = story.until(events.CallReturned)
        self.assertTrue(returned.error)
        self.assertFalse(returned.events_lost)
        self.assertEqual(
            (events.EndState.RUNNING, events.EndState.UNREACHABLE),
            story.ends(),
        )

    def test_a_source_that_died_takes_its_events_along(self):
        uid = self.ground.busy()
        story = self.story(uid)
        story.perform(instructions.SetDowntime(1), instructions.Start())
        story.until(events.PassEnded)
        self.ground.here.kill('libvirtd')
        returned = story.until(events.CallReturned)
        self.assertTrue(returned.events_lost)
        self.assertEqual(events.EndState.UNREACHABLE, story.ends()[0])
        self.ground.here.start_libvirtd()
        self.ground.here.wait()
        self.assertEqual(events.EndState.RUNNING, story.ends()[0])
