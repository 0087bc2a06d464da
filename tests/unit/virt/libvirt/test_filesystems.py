import unittest

from kvm_balancer.virt.libvirt import filesystems

_MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:20 / /srv rw shared:5 - nfs4 nas:/srv rw
24 23 8:2 / /srv/local rw - xfs /dev/sdb rw
25 22 8:3 / /a\\040b rw - ext4 /dev/sdc rw
26 25 0:21 / /a\\040b rw - ceph mon:/ rw
broken
"""


class FileSystemsTest(unittest.TestCase):
    def test_kind_of_file_system_by_path(self):
        for path, expected, shared in (
            ('/x.img', 'ext4', False),
            ('/srv/x.img', 'nfs4', True),
            ('/srv', 'nfs4', True),
            ('/srv/local/x.img', 'xfs', False),
            ('/srvice/x.img', 'ext4', False),
            ('/a b/x.img', 'ceph', True),
        ):
            with self.subTest(path):
                self.assertEqual(expected, filesystems.kind(path, _MOUNTS))
                self.assertIs(shared, filesystems.is_shared(path, _MOUNTS))
