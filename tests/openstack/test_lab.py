"""The laboratory itself: up, and away without a trace."""

import pathlib
import tempfile
import unittest

from kvm_balancer.lab import processes
from tests.openstack.lab import cloud
from tests.openstack.lab import configuration


class LabTest(unittest.TestCase):
    def test_it_leaves_nothing_behind(self):
        """Workers that have another name than they were started by, too."""
        folder = pathlib.Path(
            self.enterContext(
                tempfile.TemporaryDirectory(prefix='kvm-balancer-nova-')
            )
        )
        lab = cloud.NovaLab(
            folder / 'lab', configuration.Options(hosts=('cmp1',))
        )
        self.addCleanup(lab.down)
        lab.up()
        self.assertTrue(processes.belonging(lab.directory))
        lab.down()
        self.assertEqual([], processes.belonging(lab.directory))
        self.assertEqual([], list(folder.iterdir()))
        mounts = pathlib.Path('/proc/self/mountinfo').read_text()
        self.assertNotIn(str(folder), mounts)
