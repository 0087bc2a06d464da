import unittest

from kvm_balancer import errors
from kvm_balancer.conf import migration_scopes
from kvm_balancer.migration import request
from kvm_balancer.migration.options import scopes
from tests.fixtures import files

#: what the file holds, and what the one line says
_BAD = (
    ('[migration:zon:a]', 'of neither a zone nor an aggregate'),
    ('[migration:zone]', 'write [migration:zone:NAME] or'),
    ('[migration:zone: ]', 'of neither a zone nor an aggregate'),
    ('[migration:zone:a]\nmax_downtime_ms = 0', '] max_downtime_ms: Should'),
    (
        '[migration:zone:a]\npost_copy_patience = 0.5',
        '] post_copy_patience: Should',
    ),
    ('[migration:zone:a]\npost_copy = perhaps', '] post_copy: Unexpected'),
    ('[migration:zone:a]\n[migration:zone:A]', 'are the same group'),
    (
        '[migration:aggregate:a]\ncompression = gzip',
        '[migration:aggregate:a] no libvirt knows this method',
    ),
    (
        '[migration]\nparallel_connections = 2\n'
        '[migration:aggregate:a]\ncompression = xbzrle',
        '[migration:aggregate:a] there is no xbzrle over',
    ),
)


class MigrationScopesTest(unittest.TestCase):
    def load(self, text):
        return files.configured(self, text)

    def test_a_group_of_a_zone_or_aggregate_says_what_differs(self):
        found = migration_scopes.read(
            self.load(
                '[migration]\nmax_downtime_ms = 400\n'
                '[migration:zone:AZ 1]\npost_copy = true\n'
                'post_copy_patience = 2.5\n'
                '[migration:aggregate:a:b]\nmax_throttle_percent = 0\n'
                'profile = drain\n'
            )
        )
        self.assertEqual(400, found.defaults.max_downtime_ms)
        self.assertEqual(
            {'AZ 1': {'post_copy': True, 'post_copy_patience': 2.5}},
            found.zones,
        )
        options = found.here(scopes.Place(aggregates=('a:b',)))
        self.assertEqual(
            (400, 0, request.Profile.DRAIN),
            (
                options.max_downtime_ms,
                options.max_throttle_percent,
                options.profile,
            ),
        )

    def test_without_groups_the_defaults_hold_everywhere(self):
        self.assertTrue(migration_scopes.read(self.load('')).uniform)

    def test_what_is_wrong_is_told_in_one_line(self):
        for text, said in _BAD:
            with (
                self.subTest(text),
                self.assertRaises(errors.ConfigurationError) as raised,
            ):
                migration_scopes.read(self.load(text))
            self.assertIn(said, str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))

    def test_an_option_that_there_is_not_is_refused(self):
        for text, said in (
            (
                '[migration:zone:a]\nmax_downtime = 5',
                'a.conf: [migration:zone:a] max_downtime is no option; did '
                'you mean max_downtime_ms?',
            ),
            ('[migration:aggregate:a]\nxyz = 1', '] xyz is no option; did'),
            (
                '[migration:zone:a]\nconvergence = nova',
                'it holds everywhere or nowhere: set it in [migration]',
            ),
        ):
            with self.assertRaises(errors.ConfigurationError) as raised:
                self.load(text)
            self.assertIn(said, str(raised.exception))
            self.assertNotIn('\n', str(raised.exception))

    def test_an_option_may_be_written_with_dashes(self):
        self.load('[migration:zone:a]\nmax-downtime-ms = 5')
