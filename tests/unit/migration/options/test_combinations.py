import itertools
import unittest

from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations

OLD = combinations.Versions(hypervisor=7_002_022, library=9_000_000)
NEW = combinations.Versions(hypervisor=10_001_000, library=11_003_000)
ANCIENT = combinations.Versions(hypervisor=5_002_000, library=9_000_000)
LIBVIRT_7 = combinations.Versions(hypervisor=7_002_022, library=7_002_000)
UNKNOWN = combinations.Versions()

#: means, versions, words of the refusal (none where it is well)
CASES = (
    ({}, OLD, ''),
    ({'compression': 'xbzrle'}, OLD, ''),
    ({'compression': 'xbzrle', 'post_copy': True}, OLD, ''),
    ({'compression': 'xbzrle', 'parallel_connections': 1}, OLD, ''),
    ({'compression': 'xbzrle', 'parallel_connections': 2}, OLD, 'xbzrle'),
    ({'compression': 'xbzrle', 'parallel_connections': 2}, NEW, 'xbzrle'),
    ({'compression': 'mt'}, OLD, 'damages'),
    ({'compression': 'mt'}, NEW, 'damages'),
    ({'compression': 'mt', 'post_copy': True}, UNKNOWN, 'damages'),
    ({'compression': 'mt', 'parallel_connections': 2}, OLD, 'damages'),
    ({'compression': 'zstd'}, NEW, 'parallel connections only'),
    ({'compression': 'zstd', 'parallel_connections': 2}, NEW, ''),
    ({'compression': 'zstd', 'parallel_connections': 2}, UNKNOWN, ''),
    ({'compression': 'zlib', 'parallel_connections': 2}, OLD, '9.4'),
    ({'compression': 'lz4'}, NEW, 'no libvirt knows'),
    ({'parallel_connections': 2}, OLD, ''),
    ({'parallel_connections': 2, 'post_copy': True}, OLD, '10.1'),
    ({'parallel_connections': 2, 'post_copy': True}, NEW, ''),
    ({'parallel_connections': 2, 'post_copy': True}, UNKNOWN, ''),
    ({'parallel_connections': 2, 'tls': True}, OLD, ''),
    ({'parallel_connections': 2, 'tls': True}, ANCIENT, 'TLS'),
    ({'tls': True, 'post_copy': True, 'auto_converge': True}, OLD, ''),
    ({'auto_converge': True}, LIBVIRT_7, ''),
    ({'post_copy': True}, LIBVIRT_7, '8.5'),
    ({'post_copy': True}, UNKNOWN, ''),
)


class TestCombinations(unittest.TestCase):
    def test_what_does_not_go_together_is_refused_with_its_reason(self):
        for means, versions, words in CASES:
            with self.subTest(means=means, versions=versions):
                found = combinations.refusals(
                    request.Options(**means), versions
                )
                if not words:
                    self.assertEqual((), found)
                else:
                    self.assertTrue(any(words in one.reason for one in found))
                    self.assertTrue(all(one.remedy for one in found))

    def test_what_a_version_lacks_is_not_asked_for_otherwise(self):
        for method in ('zlib', 'zstd'):
            options = request.Options(compression=method)
            (told,) = combinations.refusals(options, OLD)
            self.assertNotIn('parallel', told.remedy)

    def test_every_line_of_the_table_is_met_by_a_case(self):
        met = {
            refusal
            for means, versions, _ in CASES
            for refusal in combinations.refusals(
                request.Options(**means), versions
            )
        }
        self.assertEqual({one for _, one in combinations.TABLE}, met)

    def test_a_plain_stream_is_never_refused(self):
        versions = (OLD, NEW, ANCIENT, UNKNOWN)
        for version, post_copy, tls, converge in itertools.product(
            versions, *[(False, True)] * 3
        ):
            options = request.Options(
                post_copy=post_copy, tls=tls, auto_converge=converge
            )
            self.assertEqual((), combinations.refusals(options, version))
