"""What was just touched is left alone, and not for longer than said."""

import unittest

from kvm_balancer.model import records
from kvm_balancer.planner import cooldown


class CooldownTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.fleet = records.build_fleet(
            [
                records.HostRecord(name=name, cpus=1, memory_mib=1)
                for name in 'abc'
            ],
            [
                records.InstanceRecord(
                    id=name, host='a', vcpus=1, memory_mib=1
                )
                for name in 'xy'
            ],
        )
        self.cooldowns = cooldown.Cooldowns(
            cooldown.Params(instance_seconds=100.0, host_seconds=10.0)
        )
        self.cooldowns.note('x', 'a', 'b', ended_at=1000.0)

    def test_the_instance_and_both_hosts_cool_down_for_their_time(self):
        table = [
            (1000.0, [True, False], [True, True, False]),
            (1010.0, [True, False], [False, False, False]),
            (1099.9, [True, False], [False, False, False]),
            (1100.0, [False, False], [False, False, False]),
        ]
        for now, instances, hosts in table:
            with self.subTest(now=now):
                self.assertEqual(
                    instances,
                    self.cooldowns.instances(self.fleet, now).tolist(),
                )
                self.assertEqual(
                    hosts, self.cooldowns.hosts(self.fleet, now).tolist()
                )

    def test_an_older_end_does_not_shorten_a_cooldown(self):
        self.cooldowns.note('x', 'a', 'c', ended_at=900.0)
        self.assertTrue(self.cooldowns.instances(self.fleet, 1050.0)[0])

    def test_what_has_cooled_down_is_forgotten(self):
        self.cooldowns.forget(1050.0)
        self.assertFalse(self.cooldowns.hosts(self.fleet, 1005.0).any())
        self.assertTrue(self.cooldowns.instances(self.fleet, 1005.0)[0])

    def test_names_that_the_fleet_does_not_know_are_passed_over(self):
        self.cooldowns.note('gone', 'gone', 'gone', ended_at=1000.0)
        self.assertEqual(
            [True, False],
            self.cooldowns.instances(self.fleet, 1001.0).tolist(),
        )
