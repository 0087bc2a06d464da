"""Where the services of a cloud are found."""

from unittest import mock

from keystoneauth1 import access
from keystoneauth1 import fixture
from keystoneauth1 import loading
from keystoneauth1.identity import access as identity

from kvm_balancer import errors
from kvm_balancer.virt.nova import api
from kvm_balancer.virt.nova import session
from tests.unit.virt.nova import base


class NeutronTest(base.NovaCase):
    def setUp(self):
        super().setUp()
        self.nova.ports = []
        self.nova.add_port(self.uid, 'direct')
        self.conf = self.nova.conf()
        self.conf.clear_override('endpoint_override', 'neutron')

    def ports(self, endpoint, **options):
        """Read ports by a catalog that has an endpoint in RegionOne."""
        for name, value in options.items():
            self.conf.set_override(name, value, 'neutron')
        token = fixture.V3Token()
        token.set_project_scope()
        if endpoint is not None:
            token.add_service('network').add_standard_endpoints(
                public=endpoint, region='RegionOne'
            )
        auth = identity.AccessInfoPlugin(
            access.create(body=token, auth_token='token')
        )
        with mock.patch.object(
            loading,
            'load_auth_from_conf_options',
            autospec=True,
            return_value=auth,
        ):
            cloud = session.Cloud(self.conf)
            self.addCleanup(cloud.close)
            return [one.vnic_type for one in api.Api(cloud).ports()]

    def test_it_is_found_by_the_catalog(self):
        for options in ({}, {'region_name': 'RegionOne'}):
            for endpoint in ('/network', '/network/', '/network/v2.0'):
                with self.subTest(endpoint, options=options):
                    self.assertEqual(
                        ['direct'],
                        self.ports(self.nova.url + endpoint, **options),
                    )

    def test_where_it_is_not_found_that_is_said(self):
        url = f'{self.nova.url}/network'
        for endpoint, options in (
            (None, {}),
            (url, {'region_name': 'RegionTwo'}),
            (url, {'valid_interfaces': ['internal']}),
        ):
            with self.subTest(endpoint, options=options):
                self.setUp()
                with self.assertRaisesRegex(
                    errors.CloudUnreachable, 'Neutron is not in the catalog'
                ):
                    self.ports(endpoint, **options)

    def test_its_version_is_added_where_it_is_left_out(self):
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
