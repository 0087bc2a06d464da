"""Whether a lock manager guards an instance is seen on its own host only."""

import dataclasses
import hashlib
import os
import pathlib
import tempfile
import unittest

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import leases
from tests.fixtures import facts

_QEMU_CONF = 'etc/libvirt/qemu.conf'
_LOCKD_CONF = 'etc/libvirt/qemu-lockd.conf'
_LOCKD = '# lock_manager = "sanlock"\nlock_manager = "lockd"\n'
_PASSED, _UNKNOWN = events.Verdict.PASSED, events.Verdict.UNKNOWN

_NETWORK = documents.Disk('vda', 'network', 'pool/web-1')
_FILE = documents.Disk('vdb', 'file', '/srv/web-1.qcow2')
_LEASE = documents.Lease('guests', 'web-1', '/srv/leases')

_FACTS = dataclasses.replace(facts.WEB, disks=(_NETWORK,))


class LocksTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = pathlib.Path(made.name)

    def write(self, name, text=''):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def check(self, state=events.EndState.RUNNING, local=True, **facts):
        return leases.check(
            dataclasses.replace(_FACTS, **facts),
            events.End(state),
            local,
            self.root,
        )

    def hold(self, path, kind='POSIX  ADVISORY  WRITE'):
        """Write down that a file is locked, as the kernel does."""
        found = path.stat()
        major, minor = os.major(found.st_dev), os.minor(found.st_dev)
        self.write(
            'proc/locks',
            f'1: OFDLCK ADVISORY  READ -1 00:1a:77 100 101\n'
            f'2: {kind} 712 {major:02x}:{minor:02x}:{found.st_ino} 0 0\n',
        )

    def test_where_nothing_runs_the_remedy_is_told(self):
        for text in (None, '', '#lock_manager = "lockd"\n'):
            with self.subTest(text):
                if text is not None:
                    self.write(_QEMU_CONF, text)
                for found in (self.check(), leases.there(self.root)):
                    self.assertEqual(_UNKNOWN, found.verdict)
                    self.assertIn('no lock manager runs', found.reason)
                    self.assertIn('virtlockd', found.remedy)

    def test_from_another_host_it_cannot_be_told(self):
        self.write(_QEMU_CONF, _LOCKD)
        self.assertIn('cannot be seen', self.check(local=False).reason)

    def given_up(self, **facts):
        return leases.given_up(dataclasses.replace(_FACTS, **facts), self.root)

    def test_what_an_instance_that_stayed_has_lost_is_named(self):
        guarded = {'leases': (_LEASE,), 'disks': (_NETWORK, _FILE)}
        self.assertEqual((), self.given_up(**guarded))
        self.write(_QEMU_CONF, _LOCKD)
        self.assertEqual(('web-1',), self.given_up(**guarded))
        self.hold(self.write('srv/leases/guests/web-1'))
        self.assertEqual((), self.given_up(**guarded))

    def test_disks_in_files_are_locked_themselves_or_by_their_hash(self):
        self.write(_QEMU_CONF, _LOCKD)
        disks = (_NETWORK, _FILE)
        self.assertEqual((_FILE.source,), self.given_up(disks=disks))
        self.hold(self.write('srv/web-1.qcow2'))
        self.assertEqual((), self.given_up(disks=disks))
        self.write(_LOCKD_CONF, 'file_lockspace_dir = "/srv/locks"\n')
        self.assertEqual((_FILE.source,), self.given_up(disks=disks))
        name = hashlib.sha256(_FILE.source.encode()).hexdigest()
        self.hold(self.write(f'srv/locks/{name}'))
        self.assertEqual((), self.given_up(disks=disks))
        self.write(_LOCKD_CONF, 'auto_disk_leases = 0\n')
        self.assertEqual((), self.given_up(disks=(_FILE,)))

    def test_what_several_may_use_at_once_is_not_missed(self):
        """virtlockd locks neither for one instance alone."""
        self.write(_QEMU_CONF, _LOCKD)
        self.write('srv/web-1.qcow2')
        for fact, lost in (
            ({}, (_FILE.source,)),
            ({'read_only': True}, ()),
            ({'shareable': True}, ()),
        ):
            disk = dataclasses.replace(_FILE, **fact)
            with self.subTest(fact):
                self.assertEqual(lost, self.given_up(disks=(disk,)))

    def test_a_lease_guards_when_it_is_held(self):
        self.write(_QEMU_CONF, _LOCKD)
        self.assertEqual(_PASSED, leases.there(self.root).verdict)
        found = self.check(leases=(_LEASE,))
        self.assertIn('its lease web-1', found.reason)

        lease = self.write('srv/leases/guests/web-1')
        self.assertEqual(_UNKNOWN, self.check(leases=(_LEASE,)).verdict)
        self.hold(lease, 'POSIX  ADVISORY  READ')
        self.assertEqual(_UNKNOWN, self.check(leases=(_LEASE,)).verdict)
        self.hold(lease)
        self.assertEqual(_PASSED, self.check(leases=(_LEASE,)).verdict)

    def test_who_stands_still_has_given_its_lease_up(self):
        self.write(_QEMU_CONF, _LOCKD)
        self.write('srv/leases/guests/web-1')
        found = self.check(events.EndState.PAUSED, leases=(_LEASE,))
        self.assertEqual(_PASSED, found.verdict)

    def test_files_are_locked_without_a_lease_and_network_disks_are_not(self):
        self.write(_QEMU_CONF, _LOCKD)
        self.assertEqual(_PASSED, self.check(disks=(_FILE,)).verdict)
        self.assertEqual(_PASSED, self.check(disks=(_NETWORK, _FILE)).verdict)
        self.assertIn('not lock vda by itself', self.check().reason)
        self.assertIn('no disk', self.check(disks=()).reason)
        self.write(_LOCKD_CONF, 'auto_disk_leases = 0\n')
        self.assertEqual(_UNKNOWN, self.check(disks=(_FILE,)).verdict)

    def test_of_another_lock_manager_nothing_is_claimed(self):
        self.write(_QEMU_CONF, 'lock_manager = "sanlock"\n')
        self.assertIn('sanlock', self.check().reason)
        self.assertEqual(_UNKNOWN, self.check().verdict)
