"""Who Nova is spoken to as, in the words of keystoneauth."""

import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import nova
from kvm_balancer.conf import opts
from kvm_balancer.virt.nova import session

_CREDENTIALS = """
auth_type = v3applicationcredential
auth_url = https://keystone.example.com/v3
application_credential_id = ID
application_credential_secret = SECRET
"""


class NovaOptionsTest(unittest.TestCase):
    def read(self, text):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        file = pathlib.Path(folder) / 'kvm-balancer.conf'
        file.write_text(text)
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[str(file)])
        opts.register_found(conf)
        return conf

    def test_without_credentials_nova_is_not_used(self):
        self.assertEqual('', nova.auth_type(self.read('')))

    def test_credentials_stand_in_any_section(self):
        """As auth_section says, which many services share."""
        for text in (
            f'[nova]{_CREDENTIALS}',
            f'[nova]\nauth_section = cloud\n[cloud]{_CREDENTIALS}',
        ):
            conf = self.read(text)
            self.assertEqual('v3applicationcredential', nova.auth_type(conf))
            made = session._connect(conf)
            self.addCleanup(made.close)
            self.assertEqual(
                'https://keystone.example.com/v3', made.session.auth.auth_url
            )

    def test_a_section_that_says_nothing_is_none(self):
        conf = self.read('[nova]\nauth_section = cloud\n')
        self.assertEqual('', nova.auth_type(conf))

    def test_no_such_plugin_is_said_with_its_section(self):
        with self.assertRaisesRegex(
            errors.ConfigurationError, r"\[cloud\] auth_type is 'magic'"
        ):
            self.read('[nova]\nauth_section = cloud\n[cloud]\nauth_type=magic')
