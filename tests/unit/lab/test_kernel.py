"""A kernel for guests is found, and its modules in the order they need."""

import lzma
import pathlib
import tempfile
import unittest

from kvm_balancer import errors
from kvm_balancer.lab import kernel

_DEPENDENCIES = """\
kernel/virtio/virtio_ring.ko:
kernel/virtio/virtio.ko: kernel/virtio/virtio_ring.ko
kernel/char/virtio-rng.ko.xz: kernel/virtio/virtio.ko
"""
_BUILT_IN = 'kernel/drivers/block/virtio_blk.ko\n'


class KernelTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.boot = pathlib.Path(folder.name) / 'boot'
        self.modules = pathlib.Path(folder.name) / 'modules'
        self.boot.mkdir()

    def _install(self, release, dependencies=_DEPENDENCIES):
        (self.boot / f'vmlinuz-{release}').touch()
        folder = self.modules / release
        folder.mkdir(parents=True)
        (folder / 'modules.dep').write_text(dependencies)
        (folder / 'modules.builtin').write_text(_BUILT_IN)
        return folder

    def _found(self):
        found = kernel.find(self.boot, self.modules)
        return found and found.modules.name

    def test_the_newest_is_found_that_is_made_for_guests(self):
        self.assertIsNone(self._found())
        (self.boot / 'vmlinuz-7.0-without-modules').touch()
        self.assertIsNone(self._found())
        for release, best in (
            ('6.1.0-9-amd64', '6.1.0-9-amd64'),
            ('6.1.0-10-amd64', '6.1.0-10-amd64'),
            ('5.10.0-1-cloud-amd64', '5.10.0-1-cloud-amd64'),
        ):
            with self.subTest(release):
                self._install(release)
                self.assertEqual(best, self._found())

    def test_a_module_comes_after_those_that_it_needs(self):
        self.assertEqual(
            [
                'kernel/virtio/virtio_ring.ko',
                'kernel/virtio/virtio.ko',
                'kernel/char/virtio-rng.ko.xz',
            ],
            kernel.load_order(
                _DEPENDENCIES, _BUILT_IN, ('virtio_rng', 'virtio_blk')
            ),
        )

    def test_one_that_the_kernel_lacks_is_named(self):
        with self.assertRaisesRegex(errors.LabError, 'no module virtio_net'):
            kernel.load_order(_DEPENDENCIES, _BUILT_IN, ('virtio_net',))

    def test_packed_modules_are_unpacked(self):
        folder = self._install('1', 'a-b.ko.xz:\nc.ko.zst:\n')
        (folder / 'a-b.ko.xz').write_bytes(lzma.compress(b'content'))
        (folder / 'c.ko.zst').touch()
        found = kernel.find(self.boot, self.modules)
        self.assertEqual(
            [('a_b.ko', b'content')], kernel.read_modules(found, ('a-b',))
        )
        with self.assertRaisesRegex(errors.LabError, 'packed as .zst'):
            kernel.read_modules(found, ('c',))
