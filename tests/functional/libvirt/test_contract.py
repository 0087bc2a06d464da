"""The libvirt driver keeps the contract on real libvirtd and QEMU."""

import unittest

from tests.contract import driver_contract
from tests.functional.libvirt import hosts


class LibvirtContractTest(driver_contract.DriverContract, unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)
