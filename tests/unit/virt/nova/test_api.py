"""Calls to Nova, each in a microversion that is right for it."""

from kvm_balancer.virt.nova import documents
from tests.unit.virt.nova import base


class ApiTest(base.NovaCase):
    def test_hypervisors_are_asked_for_without_their_uptime(self):
        """Nova would ask each compute for it, and wait for one that hangs."""
        for newest, expected in (('2.98', '2.87'), ('2.60', '2.60')):
            with self.subTest(newest):
                self.setUp()
                self.nova.microversion = newest
                found = self.driver.api.hypervisors()
                self.assertEqual({'cmp1', 'cmp2'}, set(found))
                asked = self.nova.asked_in
                self.assertEqual(
                    expected, asked['/v2.1/os-hypervisors/detail']
                )
                self.assertEqual(2, len(self.driver.api.services()))
                self.assertEqual(newest, asked['/v2.1/os-services'])

    def test_one_compute_of_thousands_is_asked_for_alone(self):
        """A check before each migration listed all of the cloud."""
        api = self.driver.api
        self.assertEqual('cmp2', api.service('cmp2').name)
        self.assertIsNone(api.service('cmp9'))
        self.assertEqual(2, self.nova.sent('GET', 'os-services.*host=cmp'))
        for _ in range(3):
            self.assertTrue(api.provider('cmp2'))
        self.assertEqual(1, self.nova.sent('GET', '/os-hypervisors'))
        self.nova.add_compute('cmp3')
        self.assertTrue(api.provider('cmp3'))

    def test_properties_of_images_are_read_where_nova_tells_them(self):
        server = self.nova.servers[self.uid]
        for image, expected in (
            (
                {'id': 'i', 'properties': {'hw_numa_nodes': 2}},
                {'hw_numa_nodes': '2'},
            ),
            ({'id': 'i'}, None),
            ('', None),
        ):
            server['image'] = image
            self.assertEqual(expected, self.driver.api.server(self.uid).image)
        self.assertEqual(
            '2.98', self.nova.asked_in[f'/v2.1/servers/{self.uid}']
        )

    def test_why_an_action_failed_is_read_of_all_that_nova_shows(self):
        trace = 'Traceback (most recent call last):\nNoValidHost: no host'
        for events, said in (
            ([{'result': 'Error', 'details': 'no  room'}], 'no room'),
            (
                [{'result': 'Error', 'traceback': trace}],
                'NoValidHost: no host',
            ),
            (
                [
                    {'result': 'Error', 'details': 'a'},
                    {'result': 'Success', 'details': None},
                    {'result': 'Error', 'details': 'a'},
                    {'result': 'Error', 'details': 'b'},
                ],
                'a; b',
            ),
            ([{'result': 'Error'}], ''),
            (None, ''),
        ):
            found = documents.read_failure({'events': events})
            self.assertEqual(said, found)
