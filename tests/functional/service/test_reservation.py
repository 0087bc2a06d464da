"""Executors of real hosts reserve memory at each other, over RabbitMQ."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import queue
import tempfile
import threading
import time
import uuid

import libvirt
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import notifications
from kvm_balancer.bus import transport
from kvm_balancer.conf import opts
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import storage
from kvm_balancer.messages import migration as messages
from kvm_balancer.messages import reservation as leases
from kvm_balancer.migration import image_room
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation
from kvm_balancer.service import executor_client
from kvm_balancer.service import executor_service
from kvm_balancer.service import peers
from tests.functional.bus import base
from tests.functional.libvirt import guests
from tests.functional.libvirt import hosts

#: A guest has 64 MiB; the destination fits one.
_GUEST_MIB, _FREE_MIB = 64, 100
#: A disk, of which one fits there.
_DISK_MIB, _VOLUME_MIB = 12, 20
#: Both together want more than the hosts carry: a pass over what a guest
#: writes to takes seconds, so that none converges on a busy machine either.
_OWN_MIB_S, _CAPACITY_MIB_S = 6, 8
_SHARE_MIB_S = _CAPACITY_MIB_S // 2
_CALM = (1, 2_000_000)


class ReservationTest(base.BrokerCase):
    """Two sources and one destination; each has its executor."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix='kvm-balancer-lease-')
        cls.addClassCleanup(folder.cleanup)
        cls.home = pathlib.Path(folder.name)
        cls.lab = fleet.Lab(
            description.describe(
                cls.home / 'lab', f'kr{os.getpid() % 10**7}', hosts=3
            )
        )
        cls.addClassCleanup(cls.lab.down)
        cls.lab.up()

    def setUp(self):
        super().setUp()
        self.handles = {
            host.name: libvirt.open(host.uri) for host in self.lab.hosts
        }
        for handle in self.handles.values():
            self.addCleanup(handle.close)
        self.outcomes = queue.SimpleQueue()
        self.run_id = uuid.uuid4().hex[:8]
        listener = notifications.OutcomeListener(
            self.configure('listener'),
            lambda payload: self.outcomes.put(
                messages.decode_outcome(payload)
            ),
        )
        listener.start()
        self.addCleanup(listener.stop)
        self.executors = []
        self.addCleanup(self.stop_executors)
        for host in self.lab.hosts:
            self.start_executor(host)
        self.commands = executor_client.ExecutorClient(
            self.configure('commands'), base.PATIENCE
        )
        self.addCleanup(self.commands.close)

    def configure(self, name, **groups):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        transport.set_defaults(conf)
        conf.set_override('transport_url', self.broker.url)
        for group, values in groups.items():
            for option, value in values.items():
                conf.set_override(option, value, group=group)
        return conf

    def start_executor(self, host):
        readings = self.home / f'{host.name}.json'
        readings.write_text(json.dumps({'cpus': 2, 'memory_mib': _FREE_MIB}))
        conf = self.configure(
            host.name,
            host={
                'name': host.name,
                'readings_file': str(readings),
                'memory_reserved_mib': 0.0,
                'migration_mib_s': _CAPACITY_MIB_S,
            },
            executor={
                'driver': 'libvirt',
                'manage': 'all',
                'state_path': str(
                    self.home / f'{host.name}-{self.run_id}.sqlite'
                ),
            },
            libvirt={'uri': host.uri, 'poll_interval_seconds': 0.1},
        )
        service = executor_service.ExecutorService(conf)
        self.executors.append(service)
        self.assertTrue(service.start())

    def stop_executors(self):
        """Stop them at once: each waits for seconds until all is idle."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for stopped in [pool.submit(one.stop) for one in self.executors]:
                stopped.result()

    def start_guest(
        self, host, memory_mib, working_set_mib, delay, devices=''
    ):
        image = self.home / f'{working_set_mib}.bin'
        image.write_bytes(guests.image(working_set_mib, delay))
        uid, xml = guests.definition(image, memory_mib, devices=devices)
        self.handles[host].createXML(xml)
        self.addCleanup(self.destroy, uid)
        return uid

    def destroy(self, uid):
        for handle in self.handles.values():
            with contextlib.suppress(libvirt.libvirtError):
                handle.lookupByUUIDString(uid).destroy()

    def where(self, uid):
        return [
            name
            for name, handle in self.handles.items()
            if any(
                one.UUIDString() == uid and one.isActive()
                for one in handle.listAllDomains()
            )
        ]

    def migrate(self, uid, source, destination, name='', **options):
        """Command a migration; *name* stands for another executor there."""
        host = self.lab.host(destination)
        wanted = request.Request(
            str(uuid.uuid4()),
            uid,
            source,
            name or destination,
            host.uri,
            time.time(),
            migration_address=host.address,
            options=request.Options(auto_converge=False, **options),
        )
        self.commands.migrate(wanted)
        return wanted.migration_id

    def ended(self):
        return self.outcomes.get(timeout=base.PATIENCE)

    def test_of_two_sources_one_gets_the_last_memory(self):
        """The other fails with the reason, and its guest is untouched."""
        moved = {
            self.migrate(uid, source, 'host-3'): (uid, source)
            for source in ('host-1', 'host-2')
            for uid in [self.start_guest(source, _GUEST_MIB, *_CALM)]
        }
        outcomes = {
            str(one.outcome): one for one in (self.ended(), self.ended())
        }
        self.assertEqual({'completed', 'failed'}, set(outcomes), outcomes)
        winner, loser = outcomes['completed'], outcomes['failed']
        self.assertEqual(['host-3'], self.where(winner.instance))
        uid, source = moved[loser.migration_id]
        self.assertEqual([source], self.where(uid))
        self.assertEqual(0.0, loser.transferred_mib)
        self.assertIn(
            'the instance needs 64 MiB, and 36 MiB of what it gives to '
            'instances are left',
            loser.reason,
        )
        self.assertNotIn('preparing', [one.state for one in loser.story])

    def make_pools(self):
        """Have directories for images; that of the destination is small."""
        place = str(storage.IMAGES)
        for name, handle in self.handles.items():
            host = self.lab.host(name)
            host.run(['mkdir', '-p', place])
            if name == 'host-3':
                size = f'size={_VOLUME_MIB}m'
                host.run(['mount', '-t', 'tmpfs', '-o', size, 'images', place])
                self.addCleanup(host.run, ['umount', '-l', place])
            pool = handle.storagePoolCreateXML(
                "<pool type='dir'><name>images</name>"
                f'<target><path>{place}</path></target></pool>'
            )
            self.addCleanup(pool.destroy)

    def add_disk(self, host):
        path = f'{storage.IMAGES}/{uuid.uuid4()}.raw'
        size = ['bs=1M', f'count={_DISK_MIB}']
        self.lab.host(host).run(['dd', 'if=/dev/urandom', f'of={path}', *size])
        return f"""
            <disk type='file' device='disk'>
              <driver name='qemu' type='raw'/>
              <source file='{path}'/><target dev='vda' bus='virtio'/>
            </disk>"""

    def test_of_two_sources_one_gets_the_last_room_for_disks(self):
        self.make_pools()
        moved = {}
        for source in ('host-1', 'host-2'):
            uid = self.start_guest(
                source, 32, *_CALM, devices=self.add_disk(source)
            )
            moved[uid] = source
            self.migrate(
                uid, source, 'host-3', copy_storage=True, bandwidth_mib_s=2
            )
        outcomes = {
            str(one.outcome): one for one in (self.ended(), self.ended())
        }
        self.assertEqual({'completed', 'failed'}, set(outcomes), outcomes)
        winner, loser = outcomes['completed'], outcomes['failed']
        self.assertEqual(['host-3'], self.where(winner.instance))
        self.assertEqual([moved[loser.instance]], self.where(loser.instance))
        self.assertIn(f'disks need {_DISK_MIB} MiB', loser.reason)
        self.assertEqual(0.0, loser.transferred_mib)

    def test_of_two_that_ask_at_once_one_is_promised_the_last_room(self):
        self.make_pools()
        images = (image_room.Need(str(storage.IMAGES), float(_DISK_MIB)),)
        gate, answers = threading.Barrier(2), queue.SimpleQueue()

        def ask(name):
            asking = peers.Peers(self.configure(name), name)
            try:
                gate.wait(base.PATIENCE)
                claim = reservation.Claim(name, name, name, 1.0, images=images)
                answers.put(
                    asking.reserve(
                        'host-3', leases.Ask(claim, request.Options())
                    )
                )
            finally:
                asking.close()

        threads = [
            threading.Thread(target=ask, args=(name,)) for name in ('a', 'b')
        ]
        for one in threads:
            one.start()
        told = [answers.get(timeout=base.PATIENCE) for _ in threads]
        for one in threads:
            one.join(base.PATIENCE)
        refused, promised = sorted(told, key=lambda one: one.lease_seconds)
        self.assertEqual(0.0, refused.lease_seconds)
        self.assertGreater(promised.lease_seconds, 0.0)
        self.assertIn(
            f'need {_DISK_MIB} MiB in {storage.IMAGES}',
            refused.checks[0].reason,
        )

    def test_silence_grants_nothing(self):
        """Where no executor answers nothing is touched, and it says so."""
        uid = self.start_guest('host-1', _GUEST_MIB, *_CALM)
        self.migrate(uid, 'host-1', 'host-3', name='nobody')
        ended = self.ended()
        self.assertEqual('failed', ended.outcome)
        self.assertIn('nothing could be reserved at nobody', ended.reason)
        self.assertIn('is not on the message bus', ended.reason)
        self.assertEqual(['host-1'], self.where(uid))

    def test_the_word_of_a_person_reaches_who_looks_after_it(self):
        uid = self.start_guest('host-1', 32, 12, hosts.BUSY_DELAY)
        guests.wait_for_round(self.handles['host-1'].lookupByUUIDString(uid))
        name = self.migrate(
            uid, 'host-1', 'host-3', bandwidth_mib_s=1, max_downtime_ms=1
        )
        asked = peers.Peers(self.configure('host-3'), 'host-3')
        self.addCleanup(asked.close)
        wish = messages.Settle(name, True, 'ann at home: she saw it')
        with self.assertRaisesRegex(errors.MigrationError, 'is looked after'):
            self.commands.settle('host-1', wish)
        # what comes there, once it is there, is not taken for settled either
        with self.assertRaisesRegex(
            errors.KVMBalancerError, 'knows no migration|in a migration still'
        ):
            self.commands.settle('host-3', wish)
        self.assertTrue(asked.state('host-1', name))
        self.commands.cancel('host-1', name, 'the test')
        self.assertEqual(['host-1'], self.where(self.ended().instance))

    def test_two_from_one_host_share_its_bandwidth(self):
        """Limits are set as the other comes, and lifted as it goes."""
        ids = {}
        for _ in range(2):
            uid = self.start_guest('host-1', 32, 12, hosts.BUSY_DELAY)
            guests.wait_for_round(
                self.handles['host-1'].lookupByUUIDString(uid)
            )
            ids[uid] = self.migrate(
                uid,
                'host-1',
                'host-3',
                bandwidth_mib_s=_OWN_MIB_S,
                max_downtime_ms=1,
                profile=request.Profile.DRAIN,
            )
        first, second = ids
        self.wait_for_limits({uid: _SHARE_MIB_S for uid in ids})
        self.commands.cancel('host-1', ids[first], 'the test')
        self.assertEqual(first, self.ended().instance)
        self.wait_for_limits({second: _OWN_MIB_S})
        self.commands.cancel('host-1', ids[second], 'the test')
        ended = self.ended()
        self.assertEqual(['host-1'], self.where(second))
        told = [one.text for one in ended.story]
        for limit in (_SHARE_MIB_S, _OWN_MIB_S):
            self.assertIn(f'bandwidth limited to {limit} MiB/s', str(told))

    def wait_for_limits(self, wanted):
        """Ask libvirt until its limits are these, in MiB/s."""
        until = time.monotonic() + base.PATIENCE
        seen = {}
        while seen != wanted:
            if time.monotonic() > until:
                self.fail(f'the limits stay {seen}')
            seen = {
                uid: self.handles['host-1']
                .lookupByUUIDString(uid)
                .migrateGetMaxSpeed(0)
                for uid in wanted
            }
