"""Which policies run where, as files have it."""

import pathlib
import tempfile
import unittest

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import agent
from kvm_balancer.conf import policy_scopes


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'test.conf')
        path.write_text(text)
        conf = cfg.ConfigOpts()
        agent.register_opts(conf)
        conf(['--config-file', str(path)], default_config_files=[])
        return policy_scopes.read(conf)


class PolicyScopesTest(unittest.TestCase):
    def test_zones_and_aggregates_have_their_own(self):
        found = read(
            '[agent]\npolicies = relieve\n'
            '[policies:zone:az1]\nrun = repair, drain\n'
            '[policies:aggregate:gpu]\nrun =\n'
        )
        self.assertEqual(('relieve',), found.default)
        self.assertEqual({'az1': ('repair', 'drain')}, found.zones)
        self.assertEqual({'gpu': ()}, found.aggregates)

    def test_without_any_those_of_the_agent_run_everywhere(self):
        found = read('')
        self.assertEqual(('relieve', 'spread'), found.default)
        self.assertEqual({}, {**found.zones, **found.aggregates})

    def test_what_makes_no_sense_is_refused_with_its_group(self):
        for text, reason in (
            ('[policies:rack:7]\nrun = spread\n', r'\[policies:rack:7\] is'),
            ('[policies]\nrun = spread\n', r'\[policies\] is of neither'),
            ('[policies:zone:]\nrun = spread\n', 'of neither a zone nor'),
            ('[policies:zone:az1]\nruns = x\n', 'does not say which'),
            (
                '[agent]\npolicies = spread,relieve,spread\n',
                r'\[agent\] policies names spread 2 times: once is enough',
            ),
            (
                '[policies:zone:az1]\nrun = spread,spread\n',
                r'\[policies:zone:az1\] run names spread 2 times',
            ),
        ):
            with (
                self.subTest(text),
                self.assertRaisesRegex(errors.ConfigurationError, reason),
            ):
                read(text)


if __name__ == '__main__':
    unittest.main()
