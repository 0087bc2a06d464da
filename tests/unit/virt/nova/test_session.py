"""Where the services of a cloud are found."""

import unittest

from kvm_balancer.virt.nova import session


class NeutronTest(unittest.TestCase):
    def test_its_version_is_added_where_the_catalog_leaves_it_out(self):
        url = 'https://neutron.example.com'
        for endpoint, found in (
            (url, f'{url}/v2.0'),
            (f'{url}/', f'{url}/v2.0'),
            (f'{url}/v2.0', f'{url}/v2.0'),
            (f'{url}/v2.0/', f'{url}/v2.0'),
            (f'{url}:9696/networking', f'{url}:9696/networking/v2.0'),
        ):
            with self.subTest(endpoint):
                self.assertEqual(found, session._of_neutron(endpoint))
