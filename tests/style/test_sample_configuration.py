"""The sample configuration that is checked in."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import unittest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ETC = _ROOT / 'etc' / 'kvm_balancer'
_MARK = re.compile(r'^(?:\[(\w+)\]|#\n# From ([\w.]+)\n#)$', re.MULTILINE)


def _own_options(sample: str) -> dict[str, str]:
    """Return the project's part of every group.

    What libraries say of their own options changes with their versions.
    """
    own = {}
    group = ''
    marks = [*_MARK.finditer(sample)]
    ends = [*(mark.start() for mark in marks[1:]), len(sample)]
    for mark, end in zip(marks, ends, strict=True):
        group = mark[1] or group
        if mark[2] == 'kvm_balancer':
            own[group] = sample[mark.end() : end].strip()
    return own


class SampleConfigurationTest(unittest.TestCase):
    maxDiff = 2000

    def test_it_is_what_the_options_say(self):
        """Generating the sample again changes none of our options."""
        generator = pathlib.Path(sysconfig.get_path('scripts'))
        with tempfile.TemporaryDirectory() as folder:
            fresh = pathlib.Path(folder) / 'sample'
            subprocess.run(
                [
                    sys.executable,
                    generator / 'oslo-config-generator',
                    '--config-file',
                    _ETC / 'config-generator.conf',
                    '--output-file',
                    fresh,
                ],
                cwd=_ROOT,
                env=os.environ | {'PYTHONWARNINGS': 'ignore'},
                check=True,
            )
            generated = _own_options(fresh.read_text())
        kept = _own_options((_ETC / 'kvm-balancer.conf.sample').read_text())
        self.assertIn('agent', kept)
        self.assertEqual(generated, kept, 'run: tox -e genconfig')

    def test_it_names_no_folder_of_ours(self):
        """No default in it comes from the tree that generated it."""
        kept = (_ETC / 'kvm-balancer.conf.sample').read_text()
        self.assertFalse(str(_ROOT) in kept)
