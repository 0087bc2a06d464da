"""Only the destination knows whether QEMU may fetch late, and has TLS."""

import pathlib
import tempfile
import unittest

from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import provisions

_CAPABILITIES = """
<capabilities><host>
  <secmodel><model>none</model><doi>0</doi></secmodel>
  <secmodel><model>dac</model><doi>0</doi>
    <baselabel type='kvm'>+{user}:+{user}</baselabel>
  </secmodel>
</host></capabilities>
"""
_SYSCTL = 'proc/sys/vm/unprivileged_userfaultfd'


class ProvisionsTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = pathlib.Path(made.name)

    def write(self, name, text=''):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self, user=64055, hypervisor=7_002_000, **options):
        found = provisions.checks(
            request.Options(**options),
            _CAPABILITIES.format(user=user),
            hypervisor,
            'host-1',
            self.root,
        )
        return {one.name: one for one in found}

    def test_nothing_is_looked_at_that_is_not_asked_for(self):
        self.assertEqual({}, self.check())

    def test_post_copy_needs_userfaultfd(self):
        table = (
            ('allowed', '1\n', False, 64055, 7_002_000, 'passed'),
            ('not allowed', '0\n', False, 64055, 7_002_000, 'forgone'),
            ('root', '0\n', False, 0, 7_002_000, 'passed'),
            ('a device', '0\n', True, 64055, 8_001_000, 'unknown'),
            ('a device, old QEMU', '0\n', True, 64055, 7_002_000, 'forgone'),
        )
        for name, sysctl, device, user, hypervisor, verdict in table:
            with self.subTest(name):
                for path in (_SYSCTL, 'dev/userfaultfd'):
                    (self.root / path).unlink(missing_ok=True)
                if sysctl is not None:
                    self.write(_SYSCTL, sysctl)
                if device:
                    self.write('dev/userfaultfd')
                found = self.check(user, hypervisor, post_copy=True)
                self.assertEqual(verdict, found['post-copy'].verdict)
                if verdict == 'forgone':
                    self.assertIn('user 64055', found['post-copy'].reason)
                    self.assertIn('sysctl', found['post-copy'].remedy)

    def test_a_kernel_without_the_switch(self):
        table = (
            ('4.19.0-27-amd64', 'unknown', '4.19.0-27-amd64'),
            ('5.2.0', 'forgone', 'has no userfaultfd'),
            ('6.1.0-18-amd64', 'forgone', 'has no userfaultfd'),
            ('nothing', 'unknown', 'is not known'),
            (None, 'unknown', 'of an unknown age'),
        )
        for release, verdict, told in table:
            for user in (0, 64055):
                with self.subTest(release=release, user=user):
                    path = self.root / 'proc/sys/kernel/osrelease'
                    path.unlink(missing_ok=True)
                    if release is not None:
                        self.write(path.relative_to(self.root), release)
                    found = self.check(user, post_copy=True)['post-copy']
                    self.assertEqual(verdict, found.verdict)
                    self.assertIn(told, found.reason)

    def test_whom_qemu_runs_as_may_not_be_told(self):
        self.write(_SYSCTL, '0\n')
        for text in ('', '<capabilities/>', '<no'):
            (found,) = provisions.checks(
                request.Options(post_copy=True),
                *(text, 7_002_000, 'host-1', self.root),
            )
            self.assertEqual('forgone', found.verdict)

    def test_tls_needs_certificates_of_a_server(self):
        found = self.check(tls=True)['tls']
        self.assertEqual('failed', found.verdict)
        self.assertIn('server-cert.pem', found.reason)
