"""A fleet under the rules of its cloud."""

import unittest

import numpy as np

from kvm_balancer.filters import aggregates as aggregate_filter
from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.model import records
from kvm_balancer.model.cloud import overlay
from kvm_balancer.model.cloud import records as cloud_records
from kvm_balancer.model.cloud import rules

NOVA = ('vm1', 'vm2', 'vm3')


def build_fleet():
    """Make three hosts; vm* are Nova's, ours is not."""
    return records.build_fleet(
        [
            records.HostRecord(
                name=name, cpus=8, memory_mib=8192, aggregates=('own',)
            )
            for name in ('cmp1', 'cmp2', 'plain')
        ],
        [
            records.InstanceRecord(id=uid, host=host, vcpus=1, memory_mib=1024)
            for uid, host in (
                ('vm1', 'cmp1'),
                ('vm2', 'cmp1'),
                ('vm3', 'cmp2'),
                ('ours', 'cmp1'),
            )
        ],
    )


def build_cloud(**changes):
    return cloud_records.Cloud(
        computes={
            'cmp1': cloud_records.Compute('cmp1', zone='a'),
            'cmp2': cloud_records.Compute(
                'cmp2',
                zone='a',
                enabled=False,
                inventories={
                    'VCPU': cloud_records.Inventory(8, 0, 2.0),
                    'MEMORY_MB': cloud_records.Inventory(8192, 512, 1.5),
                },
            ),
        },
        servers={
            uid: cloud_records.Server(uid, uid, host, 'ACTIVE')
            for uid, host in (('vm1', 'cmp1'), ('vm2', 'cmp2'))
        },
        **changes,
    )


def apply(cloud):
    fleet = build_fleet()
    owned = np.array([uid in NOVA for uid in fleet.instances.id])
    return overlay.apply(fleet, rules.Rules(cloud), owned)


class OverlayTest(unittest.TestCase):
    def test_only_what_nova_and_the_host_agree_on_moves(self):
        """One that Nova has elsewhere, or not at all, is left alone."""
        found = apply(build_cloud())
        self.assertEqual(
            {'vm1': True, 'vm2': False, 'vm3': False, 'ours': True},
            dict(
                zip(
                    found.instances.id,
                    found.instances.movable.tolist(),
                    strict=True,
                )
            ),
        )

    def test_nothing_of_nova_moves_when_nothing_is_known(self):
        found = apply(cloud_records.Cloud())
        self.assertEqual(
            [False, False, False, True], found.instances.movable.tolist()
        )

    def test_hosts_are_as_nova_has_them(self):
        found = apply(build_cloud())
        row = found.host_row['cmp2']
        self.assertEqual(columns.HostState.DISABLED, found.hosts.state[row])
        self.assertEqual(
            (2.0, 1.5, 512.0, 'a'),
            (
                found.hosts.cpu_allocation_ratio[row],
                found.hosts.memory_allocation_ratio[row],
                found.hosts.memory_reserved_mib[row],
                found.zones[found.hosts.zone[row]],
            ),
        )

    def test_servers_go_to_computes_and_what_is_ours_anywhere(self):
        found = apply(build_cloud())
        state = placement.Placement(found)
        passed = aggregate_filter.AggregatesFilter(base.Params()).passes(
            state, np.array([0, 3]), np.arange(3)
        )
        self.assertEqual(
            [[True, True, False], [True, True, True]], passed.tolist()
        )

    def test_server_groups_become_groups(self):
        groups = (
            cloud_records.ServerGroup(
                'g1', 'apart', 'anti-affinity', ('vm1', 'vm3', 'gone'), 2
            ),
            cloud_records.ServerGroup('g2', 'empty', 'affinity', ('gone',)),
            cloud_records.ServerGroup('g3', 'strange', 'new', ('vm1',)),
        )
        found = apply(build_cloud(groups=groups)).groups
        self.assertEqual(
            (('apart',), [1], [2], [0, 2]),
            (
                found.name,
                found.policy.tolist(),
                found.max_per_host.tolist(),
                found.members(0).tolist(),
            ),
        )

    def test_draining_hosts_are_drained_whatever_they_say(self):
        found = overlay.drained(build_fleet(), {'cmp1', 'unknown'})
        self.assertEqual(
            [columns.HostState.DRAINING, 0, 0], found.hosts.state.tolist()
        )
