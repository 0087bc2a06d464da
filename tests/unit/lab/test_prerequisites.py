"""A machine that lacks something is told what, before it is touched."""

import os

import fixtures
import testtools

from kvm_balancer import errors
from kvm_balancer.lab import prerequisites


class PrerequisitesTest(testtools.TestCase):
    def _machine(self, lacks=(), user=0):
        self.useFixture(fixtures.MonkeyPatch('os.geteuid', lambda: user))
        self.useFixture(
            fixtures.MonkeyPatch(
                'shutil.which', lambda name: None if name in lacks else name
            )
        )
        self.useFixture(
            fixtures.MonkeyPatch('pwd.getpwnam', lambda name: (name,))
        )
        self.useFixture(
            fixtures.MonkeyPatch('pathlib.Path.glob', lambda *a: iter([a]))
        )

    def test_a_user_who_may_not_make_namespaces(self):
        self._machine(user=1000)
        with self.assertRaisesRegex(errors.LabError, 'as root$'):
            prerequisites.check()

    def test_each_program_is_named_with_its_package(self):
        rabbit = ('rabbitmq-server', '/usr/lib/rabbitmq/bin/rabbitmq-server')
        for lacks, line in (
            (('libvirtd',), 'libvirtd: .* libvirt-daemon-system$'),
            (('qemu-system-x86_64',), 'qemu-system-x86_64: .* qemu-system-x8'),
            (('qemu-nbd', 'qemu-img'), 'qemu-nbd, qemu-img: .* qemu-utils$'),
            (('ip', 'tc'), 'ip, tc: .* iproute2$'),
            (('openssl',), 'openssl: .* openssl$'),
            (rabbit, 'rabbitmq-server: .* rabbitmq-server$'),
        ):
            with self.subTest(line):
                self._machine(lacks)
                with self.assertRaisesRegex(
                    errors.LabError, f'^this machine lacks {line}'
                ):
                    prerequisites.check(tls=True)

    def test_linux_guests_need_a_kernel_and_busybox(self):
        self._machine(('busybox',))
        self.useFixture(
            fixtures.MonkeyPatch('kvm_balancer.lab.kernel.find', lambda: None)
        )
        prerequisites.check()
        with self.assertRaisesRegex(
            errors.LabError,
            'lacks busybox, a Linux kernel in /boot: .* busybox-static '
            'linux-image-cloud-amd64$',
        ):
            prerequisites.check(linux=True)

    def test_what_is_not_wanted_is_not_missed(self):
        self._machine(
            (
                'openssl',
                'qemu-nbd',
                'rabbitmq-server',
                '/usr/lib/rabbitmq/bin/rabbitmq-server',
            )
        )
        prerequisites.check(guests=False, services=False, tls=False)

    def test_nothing_is_asked_of_the_real_machine(self):
        self._machine()
        self.assertEqual(0, os.geteuid())
        prerequisites.check()
