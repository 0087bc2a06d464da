"""What a sample says of the host is the operator's word, and what is seen."""

import unittest
from unittest import mock

from kvm_balancer.model import sample
from kvm_balancer.service import collector
from kvm_balancer.virt import driver


class FactsTest(unittest.TestCase):
    def carried(self, stated_mib_s, told_mib_s):
        hypervisor = mock.create_autospec(driver.Driver, instance=True)
        hypervisor.read.return_value = driver.Reading(
            taken_at=1.0,
            interval_seconds=10.0,
            cpus=8.0,
            memory_mib=1024.0,
            cpu_model='',
            hypervisor_version='',
            library_version='',
            usage=sample.HostUsage(0.0, 0.0, 0.0, 0.0),
            instances=sample.InstanceUsages(),
        )
        taken = collector.Collector(
            hypervisor,
            lambda _: None,
            'here',
            sample.HostFacts(0.0, 0.0, migration_mib_s=stated_mib_s),
            10.0,
            carries=lambda: told_mib_s,
        ).take()
        return taken.facts.migration_mib_s

    def test_plans_rest_on_no_more_than_the_interface_carries(self):
        self.assertEqual(112.0, self.carried(1120.0, 112.0))
        self.assertEqual(100.0, self.carried(100.0, 112.0))

    def test_an_interface_that_does_not_say_leaves_the_operators_word(self):
        self.assertEqual(1120.0, self.carried(1120.0, None))
