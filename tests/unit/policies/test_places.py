"""Places of the configuration that no host is in are told, once."""

import unittest

from kvm_balancer.migration.options import scopes
from kvm_balancer.model import records
from kvm_balancer.planner import schedule
from kvm_balancer.policies import assignment
from kvm_balancer.policies import places

_LOG = 'kvm_balancer.policies.places'


def build_fleet(*zones):
    return records.build_fleet(
        [
            records.HostRecord(
                name=f'host-{zone}',
                cpus=4,
                memory_mib=4096,
                zone=zone,
                aggregates=('ssd',),
            )
            for zone in zones
        ],
        [
            records.InstanceRecord(
                id='web',
                host=f'host-{zones[0]}',
                vcpus=1,
                memory_mib=64,
                required_aggregates=('gpu',),
            )
        ],
    )


class PlacesTest(unittest.TestCase):
    def setUp(self):
        self.rules = scopes.Scopes(
            zones={'a': {}, 'b': {}, 'c': {}},
            aggregates={'ssd': {}, 'gpu': {}},
        )

    def test_a_place_is_nowhere_when_no_host_is_in_it(self):
        """An aggregate that an instance asks for has no host by that."""
        self.assertEqual(
            [('zone', 'c'), ('aggregate', 'gpu')],
            [*places.nowhere(self.rules, build_fleet('a', 'b'))],
        )

    def test_it_is_told_once_and_not_before_the_fleet_is_known(self):
        watched = places.Places({'migration': self.rules})
        with self.assertNoLogs(_LOG):
            watched.look(build_fleet('a'))
            watched.look(build_fleet('a', 'b'))
        with self.assertLogs(_LOG) as told:
            watched.look(build_fleet('a', 'b'))
        self.assertEqual(2, len(told.output))
        self.assertIn('[migration:zone:c]', told.output[0])
        with self.assertNoLogs(_LOG):
            watched.look(build_fleet('a', 'b'))

    def test_windows_and_policies_of_nowhere_are_told_too(self):
        rules = {
            'windows': schedule.Schedules(
                zones={'a': schedule.Schedule(), 'x': schedule.Schedule()}
            ),
            'policies': assignment.Assignment(aggregates={'sdd': ()}),
        }
        told = places.warnings(rules, build_fleet('a'))
        self.assertEqual(2, len(told))
        self.assertIn('[windows:zone:x] says holds nowhere', told[0])
        self.assertIn('[policies:aggregate:sdd]', told[1])

    def test_nothing_is_told_where_no_place_is_named(self):
        watched = places.Places({'migration': scopes.Scopes()})
        with self.assertNoLogs(_LOG):
            watched.look(build_fleet('a'))
            watched.look(build_fleet('a'))


if __name__ == '__main__':
    unittest.main()
