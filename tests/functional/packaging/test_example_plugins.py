"""The example plugins, installed from outside and used by the command."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from kvm_balancer.messages import fleet_document
from tests.fixtures import fleets

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_PACKAGE = _ROOT / 'doc' / 'examples' / 'kvm_balancer_example_plugins'
_OPTIONS = """
[planner]
filters = host_state,zone,groups,capacity,rack
weighers = cpu,efficient
weigher_multipliers = cpu:0.1
[rack_filter]
closed = rack7-*
[memory_relief]
limit = 0.8
"""


class ExamplePluginsTest(unittest.TestCase):
    """A package of its own, in a folder of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        # pip builds in the tree that it is given
        copy = shutil.copytree(_PACKAGE, cls.folder / 'source')
        subprocess.run(
            [
                *(sys.executable, '-m', 'pip', 'install', '--quiet'),
                *('--no-deps', '--disable-pip-version-check'),
                *('--target', str(cls.folder / 'installed'), str(copy)),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=1200,
        )
        (cls.folder / 'balancer.conf').write_text(_OPTIONS)

    def _command(self, *arguments):
        """Run kvm-balancer where the plugins are installed."""
        done = subprocess.run(
            [
                *(sys.executable, '-m', 'kvm_balancer.cmd.cli'),
                *('--config-file', str(self.folder / 'balancer.conf')),
                *arguments,
            ],
            env={
                **os.environ,
                'PYTHONPATH': f'{self.folder / "installed"}:{_ROOT}',
                'STEVEDORE_DISABLE_CACHE': '1',
            },
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=600,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def test_they_are_listed_and_load(self):
        found = {
            (row['kind'], row['name']): row['loads']
            for row in self._command('plugins', '-f', 'json')
        }
        for kind, name in (
            ('policies', 'memory_relief'),
            ('filters', 'rack'),
            ('weighers', 'efficient'),
        ):
            self.assertTrue(found[kind, name], name)

    def test_all_three_take_part_in_a_plan(self):
        """The policy moves, not to the closed rack, to the efficient host."""
        fleet = fleets.build(
            [
                fleets.host('rack1-a', memory_gib=16),
                fleets.host('rack1-b', memory_gib=64),
                fleets.host(
                    'rack1-c',
                    memory_gib=64,
                    cpu_overhead=3,
                    aggregates=('efficient',),
                ),
                fleets.host(
                    'rack7-d', memory_gib=64, aggregates=('efficient',)
                ),
            ],
            [
                fleets.instance('x', 'rack1-a', memory_gib=8),
                fleets.instance('y', 'rack1-a', memory_gib=6),
            ],
        )
        path = self.folder / 'fleet.json'
        path.write_bytes(fleet_document.encode(fleet))
        plan = self._command(
            *('plan', '--fleet', str(path), '--policy', 'memory_relief'),
            *('-f', 'json'),
        )
        self.assertEqual(
            [('x', 'rack1-c')],
            [(one['instance'], one['destination']) for one in plan['moves']],
        )
        self.assertEqual(
            '1 of 1 hosts are brought under 0.80 of their memory',
            plan['summary'],
        )
        self.assertEqual([], plan['warnings'])


if __name__ == '__main__':
    unittest.main()
