"""The assembled guest is what its source says."""

import pathlib
import subprocess
import tempfile
import unittest

from kvm_balancer.lab import bootsector

_LAB = pathlib.Path(bootsector.__file__).parent


class GuestProgramTest(unittest.TestCase):
    def test_assembling_the_source_gives_the_program(self):
        with tempfile.TemporaryDirectory() as folder:
            made, program = f'{folder}/guest.o', pathlib.Path(folder, 'bin')
            source = str(_LAB / 'guest.S')
            subprocess.run(['as', '--32', '-o', made, source], check=True)
            subprocess.run(
                [
                    'ld',
                    '-m',
                    'elf_i386',
                    '--Ttext=0x7c00',
                    '--oformat=binary',
                    '-o',
                    str(program),
                    made,
                ],
                check=True,
            )
            self.assertEqual(
                program.read_bytes(), (_LAB / 'guest.bin').read_bytes()
            )
