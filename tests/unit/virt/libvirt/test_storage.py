import unittest

from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import storage

_MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:20 / /srv rw shared:5 - nfs4 nas:/srv rw
24 23 8:2 / /srv/local rw - xfs /dev/sdb rw
25 22 8:3 / /a\\040b rw - ext4 /dev/sdc rw
26 25 0:21 / /a\\040b rw - ceph mon:/ rw
broken
"""


class StorageTest(unittest.TestCase):
    def test_kind_of_file_system_by_path(self):
        for path, expected in (
            ('/x.img', 'ext4'),
            ('/srv/x.img', 'nfs4'),
            ('/srv', 'nfs4'),
            ('/srv/local/x.img', 'xfs'),
            ('/srvice/x.img', 'ext4'),
            ('/a b/x.img', 'ceph'),
        ):
            with self.subTest(path):
                self.assertEqual(expected, storage.file_system(path, _MOUNTS))

    def test_whether_both_ends_have_a_disk(self):
        def disk(kind, source, **rest):
            return documents.Disk('vda', kind, source, **rest)

        for what, mounts, expected in (
            (disk('network', 'pool/x'), '', True),
            (disk('file', ''), _MOUNTS, True),
            (disk('file', '/srv/x.img'), _MOUNTS, True),
            (disk('file', '/x.img'), _MOUNTS, False),
            (disk('file', '/x.iso', read_only=True), _MOUNTS, None),
            (disk('file', '/x.img'), '', None),
            (disk('block', '/dev/sdb'), _MOUNTS, None),
            (disk('nvme', 'x'), _MOUNTS, False),
        ):
            with self.subTest(what):
                self.assertIs(expected, storage.is_shared(what, mounts))

    def test_a_local_disk_fails_and_is_named(self):
        check = storage.check(
            [documents.Disk('vda', 'nvme', 'pci-1')], local=True
        )
        self.assertEqual('failed', check.verdict)
        self.assertIn('vda (pci-1)', check.reason)
        self.assertTrue(check.remedy)
