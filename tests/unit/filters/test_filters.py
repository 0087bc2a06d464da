"""Where an instance may go, filter by filter."""

import unittest

import numpy as np

from kvm_balancer.filters import aggregates
from kvm_balancer.filters import base
from kvm_balancer.filters import capacity
from kvm_balancer.filters import cpu_compatibility
from kvm_balancer.filters import groups
from kvm_balancer.filters import headroom
from kvm_balancer.filters import host_state
from kvm_balancer.filters import soft_groups
from kvm_balancer.filters import stale_host
from kvm_balancer.filters import zone
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from tests.fixtures import fleets


def passing(one, fleet, uid='x', in_flight=()):
    """Return the names of the hosts that *one* lets instance *uid* go to."""
    state = placement.Placement(fleet, in_flight)
    row = fleet.instance_row[uid]
    hosts = np.arange(len(fleet.hosts), dtype=np.int32)
    hosts = hosts[hosts != fleet.instances.host[row]]
    passed = np.broadcast_to(
        one.passes(state, np.array([row], np.int32), hosts), (1, len(hosts))
    )
    return [fleet.hosts.name[host] for host in hosts[passed[0]]]


def fleet_of(*hosts, x=None, others=(), policies=()):
    """A fleet with instance x on host home, and the given hosts."""
    fields = dict(x or {})
    home = fields.pop('home', {})
    return fleets.build(
        [fleets.host('home', **home), *hosts],
        [fleets.instance('x', 'home', **fields), *others],
        policies,
    )


class TestStatic(unittest.TestCase):
    """Filters that look at the fleet alone."""

    def test_zone(self):
        fleet = fleet_of(
            fleets.host('near', zone='z1'),
            fleets.host('far', zone='z2'),
            x={'home': {'zone': 'z1'}},
        )
        self.assertEqual(['near'], passing(zone.ZoneFilter(), fleet))

    def test_host_state(self):
        fleet = fleet_of(
            fleets.host('on'),
            fleets.host('off', state=columns.HostState.DISABLED),
            fleets.host('out', state=columns.HostState.DRAINING),
        )
        self.assertEqual(['on'], passing(host_state.HostStateFilter(), fleet))

    def test_stale_host(self):
        fleet = fleet_of(fleets.host('heard'), fleets.host('q', silent=True))
        self.assertEqual(
            ['heard'], passing(stale_host.StaleHostFilter(), fleet)
        )

    def test_aggregates(self):
        fleet = fleet_of(
            fleets.host('both', aggregates=('ssd', 'gpu')),
            fleets.host('one', aggregates=('ssd',)),
            fleets.host('none'),
            x={'required_aggregates': ('ssd', 'gpu')},
        )
        self.assertEqual(
            ['both'], passing(aggregates.AggregatesFilter(), fleet)
        )

    def test_cpu_compatibility(self):
        fleet = fleet_of(
            fleets.host('same', cpu_model='Rome'),
            fleets.host(
                'newer', cpu_model='Milan', cpu_compatible_with=('Rome',)
            ),
            fleets.host('other', cpu_model='Skylake'),
            fleets.host('any'),
            x={'home': {'cpu_model': 'Rome'}},
        )
        self.assertEqual(
            ['same', 'newer', 'any'],
            passing(cpu_compatibility.CpuCompatibilityFilter(), fleet),
        )

    def test_an_instance_of_unknown_cpu_model_goes_anywhere(self):
        fleet = fleet_of(fleets.host('rome', cpu_model='Rome'))
        self.assertEqual(
            ['rome'],
            passing(cpu_compatibility.CpuCompatibilityFilter(), fleet),
        )

    def test_classes_share_their_answer(self):
        """What a class is told, every instance of it would be told."""
        fleet = fleets.skewed(20, 100, constraints=True)
        state = placement.Placement(fleet)
        hosts = np.arange(len(fleet.hosts), dtype=np.int32)
        every = np.arange(len(fleet.instances), dtype=np.int32)
        for one in (
            zone.ZoneFilter(),
            host_state.HostStateFilter(),
            stale_host.StaleHostFilter(),
            aggregates.AggregatesFilter(),
            cpu_compatibility.CpuCompatibilityFilter(),
        ):
            with self.subTest(one.name):
                number = one.classes(fleet)
                answers = np.broadcast_to(
                    one.passes(state, every, hosts), (len(every), len(hosts))
                )
                for kind in set(number.tolist()):
                    same = answers[number == kind]
                    self.assertTrue((same == same[0]).all())


class TestCapacity(unittest.TestCase):
    """Memory, vCPUs, disk and cores."""

    CASES = (
        ('fits', {}, {}, True),
        ('memory', {'memory_gib': 3}, {}, False),
        ('memory to the last MiB', {'memory_gib': 4}, {}, True),
        (
            'reservation',
            {'memory_gib': 4, 'memory_reserved_mib': 1},
            {},
            False,
        ),
        (
            'memory ratio',
            {'memory_gib': 3, 'memory_allocation_ratio': 1.5},
            {},
            True,
        ),
        ('vCPUs', {'cpu_allocation_ratio': 0.3}, {}, False),
        ('disk', {'disk_gib': 10}, {'disk_gib': 20}, False),
        (
            'disk ratio',
            {'disk_gib': 10, 'disk_allocation_ratio': 2},
            {'disk_gib': 20},
            True,
        ),
        ('disk that nobody knows', {}, {'disk_gib': 20}, True),
        ('cores', {'cpu_overhead': 9.5}, {}, False),
    )

    def test_table(self):
        for name, host, guest, fits in self.CASES:
            with self.subTest(name):
                fleet = fleet_of(fleets.host('there', **host), x=guest)
                self.assertEqual(
                    ['there'] if fits else [],
                    passing(capacity.CapacityFilter(), fleet),
                )

    def test_a_running_migration_holds_room_on_both_ends(self):
        fleet = fleets.build(
            [
                fleets.host('home'),
                fleets.host('left', memory_gib=4),
                fleets.host('reached', memory_gib=4),
            ],
            [fleets.instance('x', 'home'), fleets.instance('y', 'left')],
        )
        running = placement.InFlight(1, fleet.host_row['reached'])
        self.assertEqual(
            [], passing(capacity.CapacityFilter(), fleet, 'x', (running,))
        )

    def test_so_does_one_that_others_began(self):
        """Also where it runs already, and its source still has it."""
        build = [
            fleets.host('home'),
            fleets.host('left', memory_gib=4),
            fleets.host('reached', memory_gib=4),
        ]
        for runs_on, other, arriving in (
            ('left', 'reached', True),
            ('reached', 'left', False),
        ):
            with self.subTest(runs_on=runs_on):
                fleet = fleets.build(
                    build,
                    [
                        fleets.instance('x', 'home'),
                        fleets.instance('y', runs_on),
                    ],
                )
                self.assertEqual(
                    [other], passing(capacity.CapacityFilter(), fleet)
                )
                seen = fleets.in_transit(fleet, 'y', other, arriving)
                self.assertEqual([], passing(capacity.CapacityFilter(), seen))


class TestGroups(unittest.TestCase):
    """Hard anti-affinity."""

    def fleet(self, most=1):
        return fleets.build(
            [fleets.host(name) for name in ('home', 'a', 'b')],
            [
                fleets.instance('x', 'home', groups=('g',)),
                fleets.instance('y', 'a', groups=('g',)),
            ],
            [fleets.group('g', max_per_host=most)],
        )

    def test_members_do_not_meet(self):
        self.assertEqual(['b'], passing(groups.GroupsFilter(), self.fleet()))

    def test_as_many_meet_as_may(self):
        found = passing(groups.GroupsFilter(), self.fleet(most=2))
        self.assertEqual(['a', 'b'], found)

    def test_a_member_on_its_way_is_on_both_hosts(self):
        fleet = self.fleet()
        running = placement.InFlight(1, fleet.host_row['b'])
        self.assertEqual(
            [], passing(groups.GroupsFilter(), fleet, 'x', (running,))
        )
        for arriving in (True, False):
            seen = fleets.in_transit(fleet, 'y', 'b', arriving)
            self.assertEqual([], passing(groups.GroupsFilter(), seen))

    def test_soft_groups_refuse_nothing(self):
        fleet = fleets.build(
            [fleets.host('home'), fleets.host('a')],
            [
                fleets.instance('x', 'home', groups=('g',)),
                fleets.instance('y', 'a', groups=('g',)),
            ],
            [fleets.group('g', columns.GroupPolicy.SOFT_ANTI_AFFINITY)],
        )
        self.assertEqual(['a'], passing(groups.GroupsFilter(), fleet))


class EvenNames(base.OneByOne):
    """Lets instances go to hosts whose name ends in an even digit."""

    name = 'even'

    def host_passes(self, state, instance, host):
        return int(state.fleet.hosts.name[host][-1]) % 2 == 0

    def reason(self, state, instance):
        return 'are odd'


class TestOneByOne(unittest.TestCase):
    """The adapter of plain functions."""

    def test_it_answers_for_blocks(self):
        fleet = fleet_of(*(fleets.host(f'h{n}') for n in range(4)))
        self.assertEqual(['h0', 'h2'], passing(EvenNames(), fleet))

    def test_an_empty_block_has_an_empty_answer(self):
        state = placement.Placement(fleet_of())
        nothing = np.zeros(0, np.int32)
        one = np.zeros(1, np.int32)
        passed = EvenNames().passes(state, one, nothing)
        self.assertEqual((1, 0), passed.shape)


class TestSoftGroups(unittest.TestCase):
    """Wishes: no group is left further from what it wishes."""

    def passing(self, policy, *others, leaves=None):
        """Say where x may go while the first of *others* is on its way."""
        fleet = fleet_of(
            fleets.host('one'),
            fleets.host('two'),
            fleets.host('none'),
            x={'groups': ('g',)},
            others=[
                fleets.instance(f'o{number}', home, groups=('g',))
                for number, home in enumerate(others)
            ],
            policies=[fleets.group('g', policy)],
        )
        in_flight = [
            placement.InFlight(fleet.instance_row['o0'], fleet.host_row[there])
            for there in (leaves,)
            if there is not None
        ]
        return passing(
            soft_groups.SoftGroupsFilter(), fleet, in_flight=in_flight
        )

    def test_who_is_leaving_a_host_is_no_company_there(self):
        policy = columns.GroupPolicy.SOFT_AFFINITY
        self.assertEqual(
            ['two'], self.passing(policy, 'one', 'home', leaves='two')
        )

    def test_who_is_leaving_a_host_is_one_too_many_there(self):
        policy = columns.GroupPolicy.SOFT_ANTI_AFFINITY
        self.assertEqual(['none'], self.passing(policy, 'one', leaves='two'))

    def test_soft_anti_affinity_goes_where_no_more_members_are(self):
        policy = columns.GroupPolicy.SOFT_ANTI_AFFINITY
        self.assertEqual(['none'], self.passing(policy, 'one', 'two', 'two'))
        self.assertEqual(
            ['one', 'none'],
            self.passing(policy, 'home', 'one', 'two', 'two'),
        )

    def test_soft_affinity_goes_where_no_fewer_members_are(self):
        policy = columns.GroupPolicy.SOFT_AFFINITY
        self.assertEqual(
            ['one', 'two'],
            self.passing(policy, 'home', 'one', 'two', 'two'),
        )
        self.assertEqual(
            ['one', 'two', 'none'], self.passing(policy, 'one', 'two')
        )

    def test_hard_groups_are_not_its_business(self):
        policy = columns.GroupPolicy.ANTI_AFFINITY
        self.assertEqual(
            ['one', 'two', 'none'], self.passing(policy, 'one', 'two')
        )


class TestHeadroom(unittest.TestCase):
    """Hosts of a zone keep room for the failure of the largest."""

    def passing(self, failures=1, **home):
        fleet = fleet_of(
            fleets.host('a', memory_gib=16),
            fleets.host('b', memory_gib=32),
            x={'home': home, 'memory_gib': 8},
            others=[fleets.instance('o', 'b', memory_gib=10)],
        )
        params = headroom.HeadroomParams(failures)
        one = headroom.HeadroomFilter(params)
        row = fleet.instance_row['x']
        hosts = np.array([1, 2], np.int32)
        state = placement.Placement(fleet)
        self.assertIn('no room left for the failure', one.reason(state, row))
        self.assertTrue(one.remedy(state, row, hosts))
        return passing(one, fleet)

    def test_what_drains_comes_while_room_for_a_failure_stays(self):
        """Without b there are 16 GiB for 18."""
        draining = {'state': columns.HostState.DRAINING}
        self.assertEqual([], self.passing(**draining))
        self.assertEqual(['a', 'b'], self.passing(failures=0, **draining))

    def test_what_moves_among_the_hosts_of_a_zone_changes_nothing(self):
        self.assertEqual(['a', 'b'], self.passing())


if __name__ == '__main__':
    unittest.main()
