"""Calls to Nova, each in a microversion that is right for it."""

from tests.unit.virt.nova import base


class ApiTest(base.NovaCase):
    def test_hypervisors_are_asked_for_without_their_uptime(self):
        """Nova would ask each compute for it, and wait for one that hangs."""
        for newest, expected in (('2.96', '2.87'), ('2.60', '2.60')):
            with self.subTest(newest):
                self.setUp()
                self.nova.microversion = newest
                found = self.driver.api.providers()
                self.assertEqual({'cmp1', 'cmp2'}, set(found))
                asked = self.nova.asked_in
                self.assertEqual(
                    expected, asked['/v2.1/os-hypervisors/detail']
                )
                self.assertEqual(2, len(self.driver.api.services()))
                self.assertEqual(newest, asked['/v2.1/os-services'])
