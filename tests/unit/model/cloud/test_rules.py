"""What keeps a server where it is, and where else it may go."""

import dataclasses
import unittest

from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records
from kvm_balancer.model.cloud import rules

COMPUTES = {
    name: records.Compute(
        name,
        zone=zone,
        traits={one: one in traits for one in ('AVX2', 'SLOW')},
        up=name != 'down',
    )
    for name, zone, traits in (
        ('cmp1', 'a', ('AVX2',)),
        ('cmp2', 'a', ()),
        ('cmp3', 'b', ('AVX2', 'SLOW')),
        ('down', 'a', ()),
    )
}


def server(specs=None, **changes):
    flavor = records.Flavor('m1', 2, 2048, 10, extra_specs=specs or {})
    return dataclasses.replace(
        records.Server('vm', 'web', 'cmp1', 'ACTIVE', flavor=flavor),
        **changes,
    )


def cloud(*servers, **changes):
    return records.Cloud(
        computes=COMPUTES, servers={one.id: one for one in servers}, **changes
    )


def terms(one, params=None, **changes):
    return rules.Rules(cloud(one, **changes), params).terms(one.id)


def places(one, **changes):
    """Return where a server may go by its labels alone."""
    known = rules.Rules(cloud(one, **changes))
    found = set(COMPUTES)
    for label in known.terms(one.id).labels:
        found &= known.carriers[label]
    return found - {'down'}


class HindranceTest(unittest.TestCase):
    def test_a_server_that_is_well_may_move(self):
        self.assertEqual('', terms(server()).hindrance)

    def test_what_is_not_to_be_moved_is_said_why(self):
        """Every reason that Nova gives, in a table."""
        off = {'kvm_balancer:manage': 'False'}
        table = (
            (server(status='SHUTOFF'), 'SHUTOFF'),
            (server(status='ERROR'), 'ERROR'),
            (server(task_state='rebooting'), 'rebooting'),
            (server(locked=True), 'locked'),
            (server(host='down'), 'is down'),
            (server(host='gone'), 'no compute gone'),
            (server(metadata=off), 'its metadata says'),
            (server(off), 'its flavor m1 says'),
            (server({'pci_passthrough:alias': 'gpu:1'}), 'PCI device'),
            (server({'resources:VGPU': '1'}), 'VGPU'),
            (server({'resources:CUSTOM_X': '1'}), ''),
            (server({'resources_NET:SRIOV_NET_VF': '1'}), 'not understood'),
            (server({'hw:cpu_policy': 'dedicated'}), 'pinned'),
            (server({'hw:numa_nodes': '2'}), 'NUMA'),
            (server({'hw:mem_page_size': 'large'}), 'huge pages'),
            (server({'resources:PCPU': '2'}), 'pinned'),
            (server({'hw:cpu_policy': 'mixed'}), 'not understood'),
            (server({'hw:mem_encryption': 'true'}), 'encrypted'),
            (server({'hw:mem_encryption': 'false'}), ''),
            (server({'hw:tpm_version': '2.0'}), 'TPM'),
            (
                server(
                    {
                        'hw:tpm_version': '2.0',
                        'hw:tpm_secret_security': 'host',
                    }
                ),
                '',
            ),
            (server(image={'hw_cpu_policy': 'dedicated'}), 'pinned'),
            (server(image={'hw_numa_nodes': '2'}), 'NUMA'),
            (server(image={'hw_mem_page_size': 'large'}), 'huge pages'),
            (server(image={'hw_tpm_version': '2.0'}), 'TPM'),
            (server(image={'hw_mem_encryption': 'True'}), 'encrypted'),
            (server(image={'os_type': 'linux'}), ''),
            (
                server(device_ports=frozenset({'direct', 'macvtap'})),
                'a network port that is a device of its host: direct, macvtap',
            ),
            (
                server({'aggregate_instance_extra_specs:ssd': '>= 3'}),
                'not understood',
            ),
        )
        for one, said in table:
            with self.subTest(said=said, one=one):
                found = terms(one).hindrance
                self.assertIn(said, found)
                self.assertEqual(bool(said), bool(found))

    def test_pinned_servers_move_where_the_operator_says_so(self):
        allowed = rules.Params(move_pinned=True)
        one = server({'hw:cpu_policy': 'dedicated', 'hw:numa_nodes': '1'})
        self.assertEqual('', terms(one, allowed).hindrance)

    def test_servers_with_sriov_move_where_the_operator_says_so(self):
        one = server(device_ports=frozenset({'direct'}))
        for params, moves in (
            (rules.Params(move_sriov=True), True),
            (rules.Params(move_pinned=True), False),
        ):
            with self.subTest(params):
                self.assertEqual(moves, not terms(one, params).hindrance)

    def test_the_same_flavor_with_other_ports_is_judged_by_itself(self):
        plugged = server(id='vm2', device_ports=frozenset({'direct'}))
        known = rules.Rules(cloud(server(), plugged))
        self.assertEqual('', known.terms('vm').hindrance)
        self.assertIn('direct', known.terms('vm2').hindrance)

    def test_the_same_flavor_by_another_image_is_judged_by_itself(self):
        plain = server()
        pinned = server(id='vm2', image={'hw_cpu_policy': 'dedicated'})
        known = rules.Rules(cloud(plain, pinned))
        self.assertEqual('', known.terms('vm').hindrance)
        self.assertIn('pinned', known.terms('vm2').hindrance)

    def test_an_aggregate_declines_for_all_of_its_hosts(self):
        aggregate = records.Aggregate(
            'calm', frozenset({'cmp1'}), {'kvm_balancer:manage': 'false'}
        )
        found = terms(server(), aggregates=(aggregate,)).hindrance
        self.assertIn('aggregate calm', found)

    def test_members_of_a_hard_affinity_group_stay(self):
        """Nova cannot move them one by one, and moves no two at once."""
        other = server(id='vm2')
        for policy, members, said in (
            ('affinity', ('vm', 'vm2'), 'one by one'),
            ('affinity', ('vm',), ''),
            ('affinity', ('vm', 'deleted'), ''),
            ('soft-affinity', ('vm', 'vm2'), ''),
            ('anti-affinity', ('vm', 'vm2'), ''),
        ):
            with self.subTest(policy=policy, members=members):
                group = records.ServerGroup('g', 'g', policy, members)
                known = rules.Rules(cloud(server(), other, groups=(group,)))
                self.assertIn(said, known.terms('vm').hindrance)
                self.assertEqual(bool(said), bool(known.terms('vm').hindrance))

    def test_nothing_is_known_of_a_server_that_nova_has_not(self):
        self.assertIsNone(rules.Rules(cloud()).terms('vm'))


class PlacesTest(unittest.TestCase):
    def test_traits_choose_hosts(self):
        for specs, wanted in (
            ({}, {'cmp1', 'cmp2', 'cmp3'}),
            ({'trait:AVX2': 'required'}, {'cmp1', 'cmp3'}),
            ({'trait:SLOW': 'forbidden'}, {'cmp1', 'cmp2'}),
            (
                {'trait:AVX2': 'required', 'trait:SLOW': 'forbidden'},
                {'cmp1'},
            ),
            # Of one that was not asked for yet nothing is known.
            ({'trait:UNKNOWN': 'required'}, set()),
            ({'trait:UNKNOWN': 'forbidden'}, set()),
        ):
            with self.subTest(specs=specs):
                self.assertEqual(wanted, places(server(specs)))

    def test_a_zone_that_was_asked_for_holds(self):
        self.assertEqual({'cmp3'}, places(server(pinned_zone='b')))
        self.assertEqual(3, len(places(server(pinned_zone=''))))

    def test_metadata_of_aggregates_choose_hosts(self):
        fast = records.Aggregate(
            'fast', frozenset({'cmp1', 'cmp2'}), {'disk': 'ssd,nvme'}
        )
        for value, wanted in (
            ('ssd', {'cmp1', 'cmp2'}),
            ('<or> hdd <or> nvme', {'cmp1', 'cmp2'}),
            ('hdd', set()),
        ):
            with self.subTest(value=value):
                specs = {'aggregate_instance_extra_specs:disk': value}
                self.assertEqual(
                    wanted, places(server(specs), aggregates=(fast,))
                )

    def test_hosts_of_other_projects_are_closed(self):
        kept = records.Aggregate(
            'kept',
            frozenset({'cmp2'}),
            {'filter_tenant_id': 'p1', 'filter_tenant_id2': 'p2'},
        )
        for project, wanted in (
            ('p1', {'cmp1', 'cmp2', 'cmp3'}),
            ('p2', {'cmp1', 'cmp2', 'cmp3'}),
            ('p9', {'cmp1', 'cmp3'}),
        ):
            with self.subTest(project=project):
                self.assertEqual(
                    wanted, places(server(project=project), aggregates=(kept,))
                )

    def test_nothing_goes_to_an_older_hypervisor(self):
        """Nova refuses it, as amid an upgrade of all hosts in turn."""
        new = dict.fromkeys(('cmp1', 'cmp2'), 8002000)
        computes = {
            name: dataclasses.replace(
                one, hypervisor_version=new.get(name, 6002000)
            )
            for name, one in COMPUTES.items()
        }
        for host, wanted in (
            ('cmp1', {'cmp1', 'cmp2'}),
            ('cmp3', {'cmp1', 'cmp2', 'cmp3'}),
        ):
            known = rules.Rules(
                records.Cloud(computes, {'vm': server(host=host)})
            )
            found = set(COMPUTES) - {'down'}
            for label in known.terms('vm').labels:
                found &= known.carriers[label]
            self.assertEqual(wanted, found)

    def test_hosts_whose_traits_are_not_known_carry_none(self):
        unknown = records.Compute('cmp9')
        known = rules.Rules(
            records.Cloud(
                computes={'cmp9': unknown},
                servers={'vm': server({'trait:SLOW': 'forbidden'})},
            )
        )
        known.terms('vm')
        self.assertEqual(frozenset(), known.carriers['no trait SLOW'])


class AsksTest(unittest.TestCase):
    def test_the_nearer_word_holds(self):
        """A server's own metadata is over its flavor's and aggregate's."""
        aggregate = records.Aggregate(
            'calm',
            frozenset({'cmp1'}),
            {'kvm_balancer:tls': 'true', 'kvm_balancer:post_copy': 'true'},
        )
        one = server(
            {
                'kvm_balancer:post_copy': 'false',
                'kvm_balancer:max_downtime_ms': '100',
            },
            metadata={'kvm_balancer:max_downtime_ms': '50', 'other': 'x'},
        )
        self.assertEqual(
            (
                ('max_downtime_ms', '50'),
                ('post_copy', 'false'),
                ('tls', 'true'),
            ),
            terms(one, aggregates=(aggregate,)).asks,
        )


class DemandTest(unittest.TestCase):
    def test_traits_that_any_server_asks_for_are_told(self):
        asked = (
            server(),
            server({'trait:AVX2': 'required', 'trait:SLOW': 'forbidden'}),
            server({'hw:cpu_thread_policy': 'require'}),
            server(image={'hw_cpu_thread_policy': 'isolate'}),
            server({'trait:AVX2': 'required'}),
        )
        self.assertEqual(
            {'AVX2', 'SLOW', 'HW_CPU_HYPERTHREADING'}, demand.traits(asked)
        )
        self.assertEqual(set(), demand.traits(asked[:1]))

    def test_a_flavor_becomes_resources(self):
        """As Nova's scheduler reads it, in a table."""
        table = (
            ({}, {}, {'VCPU': 2, 'MEMORY_MB': 2048, 'DISK_GB': 10}),
            ({}, {'from_volume': True}, {'VCPU': 2, 'MEMORY_MB': 2048}),
            (
                {'hw:cpu_policy': 'dedicated'},
                {},
                {'PCPU': 2, 'MEMORY_MB': 2048, 'DISK_GB': 10},
            ),
            (
                {
                    'hw:cpu_policy': 'dedicated',
                    'hw:emulator_threads_policy': 'isolate',
                },
                {},
                {'PCPU': 3, 'MEMORY_MB': 2048, 'DISK_GB': 10},
            ),
            (
                {},
                {'image': {'hw_cpu_policy': 'dedicated'}},
                {'PCPU': 2, 'MEMORY_MB': 2048, 'DISK_GB': 10},
            ),
            (
                {'resources:PCPU': '2'},
                {},
                {'PCPU': 2, 'MEMORY_MB': 2048, 'DISK_GB': 10},
            ),
            (
                {'resources:VCPU': '0', 'resources:CUSTOM_IRON': '1'},
                {},
                {'CUSTOM_IRON': 1, 'MEMORY_MB': 2048, 'DISK_GB': 10},
            ),
        )
        for specs, changes, wanted in table:
            with self.subTest(specs=specs, changes=changes):
                found = demand.of_server(server(specs, **changes))
                self.assertEqual(wanted, dict(found.resources))

    def test_a_query_keeps_disabled_computes_out(self):
        found = demand.of_server(
            server({'trait:A': 'required', 'trait:B': 'forbidden'})
        )
        self.assertEqual(
            'A,!B,!COMPUTE_STATUS_DISABLED', found.query()['required']
        )
        self.assertEqual('A,!B', found.query(disabled=True)['required'])

    def test_a_query_asks_for_nothing_that_is_empty(self):
        """Placement refuses that."""
        found = demand.of_server(server({})).query(disabled=True)
        self.assertEqual({'resources'}, set(found))
