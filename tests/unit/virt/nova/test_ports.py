"""Neutron tells which servers have ports that are devices of their hosts."""

from kvm_balancer.virt.nova import inventory
from kvm_balancer.virt.nova import ports
from tests.unit.virt.nova import base

_LATER = '2999-01-01T00:00:00Z'


class PortsCase(base.NovaCase):
    """A cloud with a Neutron, and a server that has a port of SR-IOV."""

    def setUp(self):
        super().setUp()
        self.nova.ports = []
        self.nova.add_port(self.uid, 'direct')
        self.inventory = inventory.Inventory(self.make_driver().api)

    def devices(self, servers):
        return {
            uid: sorted(one.device_ports)
            for uid, one in servers.items()
            if one.device_ports
        }

    def asked(self):
        return self.nova.sent('GET', '/ports')


class PortsTest(PortsCase):
    def test_all_are_read_by_pages(self):
        self.nova.page = 3
        other = self.nova.add_server('cmp2')
        plain = self.nova.add_server('cmp2')
        for _ in range(7):
            self.nova.add_port(plain)
        self.nova.add_port(other, 'macvtap')
        self.nova.add_port(other, 'direct')
        self.nova.add_port('a router')
        self.assertEqual(
            {self.uid: ['direct'], other: ['direct', 'macvtap']},
            self.devices(self.inventory.servers()),
        )
        self.assertEqual(4, self.asked())

    def test_what_is_a_device(self):
        """By each type of port that Neutron knows."""
        for vnic_type, found in (
            ('normal', []),
            ('direct', ['direct']),
            ('direct-physical', ['direct-physical']),
            ('macvtap', ['macvtap']),
            ('vdpa', ['vdpa']),
            ('virtio-forwarder', ['virtio-forwarder']),
            ('accelerator-direct', ['accelerator-direct']),
            ('remote-managed', ['remote-managed']),
        ):
            with self.subTest(vnic_type):
                self.nova.ports[0]['binding:vnic_type'] = vnic_type
                servers = self.inventory.servers()
                self.assertEqual(
                    found, self.devices(servers).get(self.uid, [])
                )

    def test_of_servers_that_changed_alone_is_asked_again(self):
        known = self.inventory.servers()
        self.nova.ports.clear()
        other = self.nova.add_server('cmp2')
        self.nova.add_port(other, 'direct')
        known = self.inventory.some_servers(known, [other])
        self.assertEqual(
            {self.uid: ['direct'], other: ['direct']}, self.devices(known)
        )
        self.nova.servers[self.uid]['updated'] = _LATER
        known = self.inventory.changed_servers(known, 0.0)
        self.assertEqual({other: ['direct']}, self.devices(known))
        self.assertEqual(3, self.asked())
        self.assertEqual(2, self.nova.sent('GET', 'device_id='))

    def test_nothing_is_asked_where_nothing_changed(self):
        self.inventory.changed_servers(self.inventory.servers(), 32503680000)
        self.assertEqual(1, self.asked())

    def test_many_that_changed_are_named_in_several_questions(self):
        known = self.inventory.servers()
        for _ in range(60):
            self.nova.add_port(self.nova.add_server('cmp2'), 'direct')
        known = self.inventory.changed_servers(known, 0.0)
        self.assertEqual(61, len(self.devices(known)))
        self.assertEqual(3, self.asked())


class TroubleTest(PortsCase):
    """Nothing that Neutron does keeps the cloud from being known."""

    def looks(self, known, times):
        """Ask again and again for what changed; return what is known."""
        for _ in range(times):
            known = self.inventory.changed_servers(known, 0.0)
        return known

    def test_each_trouble_is_told_in_one_line_and_made_up_for(self):
        for fault, said in (
            ({'status': 403}, 'Neutron: a fault'),
            ({'status': 503}, 'Neutron: a fault'),
            ({'kind': 'garbage'}, 'Neutron does not answer'),
        ):
            with self.subTest(fault):
                self.setUp()
                self.fault('GET', '/ports', **fault)
                with self.assertLogs(ports.LOG, 'WARNING') as logged:
                    known = self.inventory.servers()
                self.assertEqual({}, self.devices(known))
                self.assertEqual(1, len(logged.output), logged.output)
                self.assertIn(said, logged.output[0])
                self.assertNotIn('\n', logged.output[0])
                known = self.looks(known, 5)
                self.assertEqual({}, self.devices(known))
                with self.assertLogs(ports.LOG, 'INFO'):
                    known = self.looks(known, 1)
                self.assertEqual({self.uid: ['direct']}, self.devices(known))

    def test_what_was_known_is_kept_meanwhile(self):
        known = self.inventory.servers()
        other = self.nova.add_server('cmp2')
        self.nova.add_port(other, 'direct')
        self.fault('GET', '/ports', status=503)
        with self.assertLogs(ports.LOG, 'WARNING'):
            known = self.inventory.some_servers(known, [other])
        self.assertEqual({self.uid: ['direct']}, self.devices(known))
        # News does not have it asked again and again.
        known = self.inventory.some_servers(known, [other])
        self.assertEqual(2, self.asked())
        with self.assertLogs(ports.LOG, 'INFO'):
            known = self.looks(known, 6)
        self.assertEqual(
            {self.uid: ['direct'], other: ['direct']}, self.devices(known)
        )

    def test_types_that_are_hidden_are_told(self):
        del self.nova.ports[0]['binding:vnic_type']
        with self.assertLogs(ports.LOG, 'WARNING') as logged:
            self.inventory.servers()
        self.assertIn('binding:vnic_type', logged.output[0])

    def test_a_cloud_without_neutron_is_known_all_the_same(self):
        self.nova.ports = None
        self.inventory = inventory.Inventory(self.make_driver().api)
        with self.assertLogs(ports.LOG, 'WARNING') as logged:
            known = self.looks(self.inventory.servers(), 20)
        self.assertEqual({self.uid}, set(known))
        self.assertEqual(1, len(logged.output), logged.output)
        self.assertIn('left to Nova', logged.output[0])
