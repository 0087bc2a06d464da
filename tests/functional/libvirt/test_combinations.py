"""What is refused beforehand is what this libvirt and QEMU would refuse."""

import unittest

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import identity
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

CASES = (
    {'post_copy': True, 'auto_converge': True},
    {'bandwidth_mib_s': 1_000_000, 'post_copy': True},
    {'max_downtime_ms': 2_000_000},
    {
        'auto_converge': True,
        'auto_converge_initial_percent': 99,
        'auto_converge_increment_percent': 99,
    },
    {'parallel_connections': 1, 'compression': 'xbzrle'},
    {'parallel_connections': 2, 'auto_converge': True},
    {'parallel_connections': 255},
    {'compression': 'xbzrle', 'post_copy': True},
    {'compression': 'mt', 'parallel_connections': 2},
    {'compression': 'zstd'},
    {'compression': 'zlib'},
    {'compression': 'zstd', 'parallel_connections': 2},
    {'compression': 'zlib', 'parallel_connections': 2},
    {'compression': 'lz4'},
    {'compression': 'lz4', 'parallel_connections': 2},
)

#: What QEMU 7.2 begins and should not: it passes xbzrle over in silence, and
#: loses a guest that goes over to post-copy from several streams, and damages
#: what it compresses in threads.
BEGUN = (
    {'compression': 'mt', 'auto_converge': True},
    {'compression': 'mt', 'post_copy': True},
    {'compression': 'xbzrle', 'parallel_connections': 2},
    {'post_copy': True, 'parallel_connections': 2},
)

#: From here on it refuses by itself, or can do it.
_REFUSES_BY_ITSELF = 8_000_000

ENCRYPTED = (
    {'tls': True, 'post_copy': True},
    {'tls': True, 'parallel_connections': 2},
    {'tls': True, 'compression': 'xbzrle'},
)


class _Case(unittest.TestCase):
    tls = False

    def setUp(self):
        self.ground = hosts.LibvirtGround(tls=self.tls)
        self.addCleanup(self.ground.close)
        link = connection.Connection(self.ground.here.uri)
        self.addCleanup(link.close)
        known = link.call(identity.identify)
        self.versions = combinations.Versions(
            hypervisor=known.hypervisor, library=known.library
        )

    def beforehand(self, means):
        """Say what is refused before anything is asked of libvirt."""
        return [
            one.reason
            for one in combinations.refusals(
                request.Options(**means), self.versions
            )
        ]

    def answers(self, cases):
        """Begin a migration by each, and yield what libvirt has against it.

        A guest that stayed is taken for the next one.
        """
        uid = self.ground.calm()
        for means in cases:
            story = grounds.Story(
                self.ground.source, self.ground.wanted(uid, **means)
            )
            story.perform(instructions.Start())
            error = story.until(events.CallReturned).error
            story.carrier.close()
            yield means, error
            self.assertTrue(self.ground.domain(uid, 0 if error else 1))
            if not error:
                self.ground.domain(uid, 1).destroy()
                uid = self.ground.calm()


class RefusalTest(_Case):
    def test_it_is_refused_by_both_or_by_neither(self):
        for means, error in self.answers(CASES):
            with self.subTest(means=means, error=error):
                self.assertEqual(bool(error), bool(self.beforehand(means)))

    def test_what_begins_and_goes_wrong_later_is_refused_beforehand(self):
        believes = self.versions.hypervisor < _REFUSES_BY_ITSELF
        for means, error in self.answers(BEGUN):
            with self.subTest(means=means, error=error):
                if believes:
                    self.assertEqual('', error)
                if believes or error:
                    self.assertTrue(self.beforehand(means))

    def test_without_certificates_encryption_ends_before_it_begins(self):
        """No libvirt tells beforehand: the start is refused by QEMU."""
        for means, error in self.answers(ENCRYPTED):
            with self.subTest(means=means):
                self.assertEqual([], self.beforehand(means))
                self.assertIn('credentials', error)


class EncryptedTest(_Case):
    tls = True

    def test_with_certificates_no_means_is_refused(self):
        for means, error in self.answers(ENCRYPTED):
            with self.subTest(means=means):
                self.assertEqual('', error)
                self.assertEqual([], self.beforehand(means))
