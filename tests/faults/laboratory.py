"""A laboratory for all tests of a class: it comes up once for them."""

import os
import pathlib
import tempfile

import testtools

from kvm_balancer.lab import prerequisites
from tests.faults import ground as grounds


class LaboratoryTestCase(testtools.TestCase):
    """Tests that share a laboratory.

    On a machine that cannot carry it they fail, and say why.

    :cvar letter: by which laboratories of one process differ
    :cvar guarded: libvirt's lock manager runs on the hosts
    """

    letter = 'x'
    guarded = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        prerequisites.check(services=True, faults=True, leases=True)
        temporary = tempfile.TemporaryDirectory(prefix='kvm-balancer-')
        cls.addClassCleanup(temporary.cleanup)
        name = f'{cls.letter}{os.getpid() % 10**7}'
        cls.ground = cls.enterClassContext(
            grounds.Ground(pathlib.Path(temporary.name) / name, cls.guarded)
        )
