"""The initial file system is an archive that cpio can read."""

import pathlib
import stat
import subprocess
import tempfile
import unittest

from kvm_balancer.lab import initramfs

_ENTRIES = (
    initramfs.directory('bin'),
    initramfs.program('bin/busybox', b'12345'),
    initramfs.link('bin/sh', 'busybox'),
    initramfs.program('init', b''),
)


def _busybox(*arguments, **options):
    return subprocess.run(['busybox', *arguments], check=True, **options)


class InitramfsTest(unittest.TestCase):
    def test_everything_comes_out_as_it_went_in(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            _busybox(
                'cpio',
                '-i',
                input=initramfs.archive(_ENTRIES),
                stderr=subprocess.DEVNULL,
                cwd=folder,
            )
            program = folder / 'bin/busybox'
            self.assertEqual(b'12345', program.read_bytes())
            self.assertEqual(0o755, stat.S_IMODE(program.stat().st_mode))
            self.assertEqual(b'12345', (folder / 'bin/sh').read_bytes())
            self.assertTrue((folder / 'bin/sh').is_symlink())
            self.assertEqual(b'', (folder / 'init').read_bytes())

    def test_the_same_content_gives_the_same_archive(self):
        self.assertEqual(
            initramfs.archive(_ENTRIES), initramfs.archive(_ENTRIES)
        )

    def test_a_device_keeps_its_numbers(self):
        packed = initramfs.archive([initramfs.terminal('console', 5, 1)])
        fields = [packed[at : at + 8] for at in range(6, 110, 8)]
        self.assertEqual([b'00000005', b'00000001'], fields[9:11])
        self.assertTrue(stat.S_ISCHR(int(fields[1], 16)))
