"""A wheel of this tree, in an environment that has nothing else."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
import venv
import zipfile

from tests.fixtures import patience

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_PROGRAMS = ('kvm-balancer', 'kvm-balancer-agent', 'kvm-balancer-executor')

# Needs the extras ``libvirt``, ``nova`` and ``prometheus``, which an empty
# environment does not have.
_OPTIONAL = {
    'keystoneauth1',
    'libvirt',
    'libvirt_qemu',
    'openstack',
    'requests',
    'webob',
}

_LOAD_PLUGINS = f"""
import importlib.metadata
import kvm_balancer.cmd
groups = set()
names = importlib.metadata.distribution('kvm-balancer').entry_points
for entry in names:
    try:
        entry.load()
    except ModuleNotFoundError as error:
        if error.name not in {_OPTIONAL!r}:
            raise
    groups.add(entry.group)
print(*sorted(groups))
"""

_LOAD_BY_STEVEDORE = """
import kvm_balancer.cmd
import stevedore
for group in ('policies', 'filters', 'weighers', 'convergence'):
    def fail(manager, entry, error):
        raise error
    names = stevedore.ExtensionManager(
        'kvm_balancer.' + group, on_load_failure_callback=fail
    ).names()
    assert names, group
"""


def _run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        raise AssertionError(f'{command}: {done.returncode}\n{done.stdout}')
    return done.stdout


class WheelTest(unittest.TestCase):
    """What is committed, cloned without history, built and installed."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        clone = cls.folder / 'clone'
        _run(
            *('git', 'clone', '--quiet', '--depth', '1', '--no-tags'),
            *(_ROOT.as_uri(), clone),
        )
        _run(
            *(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps'),
            *('--wheel-dir', cls.folder, clone),
        )
        (cls.wheel,) = cls.folder.glob('*.whl')
        environment = cls.folder / 'venv'
        venv.create(environment, with_pip=True)
        cls.bin = environment / 'bin'
        _run(cls.bin / 'python', '-m', 'pip', 'install', '-q', cls.wheel)

    def _program(self, *command: object) -> str:
        # Nothing of this tree may help: neither its folder nor its paths.
        return _run(
            self.bin / str(command[0]),
            *command[1:],
            cwd=self.folder,
            env={'PATH': os.defpath, 'HOME': str(self.folder)},
        )

    def test_a_clone_without_tags_has_a_version(self):
        """No tag and no history is needed to name the wheel."""
        self.assertRegex(self.wheel.name, r'^kvm_balancer-\d+\.\d+\.\d+')

    def test_programs_start(self):
        """Every console script tells its version and its usage."""
        for name in _PROGRAMS:
            for option in ('--version', '--help'):
                with self.subTest(program=name, option=option):
                    self.assertTrue(self._program(name, option).strip())

    def test_the_services_start_quietly_and_end_in_order(self):
        """No library warns when a service comes up, and SIGTERM ends it."""
        conf = self._configuration()
        self._program('kvm-balancer', '--config-file', conf, 'db', 'upgrade')
        for name, ready in (
            ('kvm-balancer-agent', 'The agent is up'),
            ('kvm-balancer-executor', 'takes commands'),
        ):
            with (
                self.subTest(program=name),
                subprocess.Popen(
                    [self.bin / name, '--config-file', conf],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    text=True,
                    cwd=self.folder,
                    env={'PATH': os.defpath, 'HOME': str(self.folder)},
                ) as service,
            ):
                told = []
                with patience.limited(service):
                    for line in service.stdout:
                        told.append(line)
                        if ready in line:
                            service.send_signal(signal.SIGTERM)
                text = ''.join(told)
                self.assertIn(ready, text)
                self.assertEqual(0, service.wait(), text)
                for word in ('WARN', 'Warning', 'ERROR', 'Traceback'):
                    self.assertNotIn(word, text)

    def _configuration(self) -> pathlib.Path:
        """Write what one host of a simulated fleet needs."""
        fleet = self.folder / 'fleet.json'
        fleet.write_text(
            json.dumps(
                {
                    'schema': 'kvm-balancer/fleet/1',
                    'hosts': [{'name': 'a', 'cpus': 8, 'memory_mib': 8192}],
                    'instances': [],
                }
            )
        )
        conf = self.folder / 'service.conf'
        conf.write_text(
            '[DEFAULT]\ntransport_url = fake://\n'
            f'[database]\nconnection = sqlite:///{self.folder}/agent.db\n'
            '[host]\nname = a\n'
            '[executor]\ndriver = simulated\n'
            f'state_path = {self.folder}/executor.db\n'
            f'[simulated]\nfleet = {fleet}\n'
        )
        return conf

    def test_entry_points_load(self):
        """Whatever the wheel announces can be loaded."""
        groups = self._program('python', '-c', _LOAD_PLUGINS).split()
        for group in ('policies', 'filters', 'weighers', 'drivers'):
            self.assertIn(f'kvm_balancer.{group}', groups)

    def test_plugins_load(self):
        """stevedore finds and loads the plugins of every group."""
        self.assertEqual('', self._program('python', '-c', _LOAD_BY_STEVEDORE))

    def test_files_that_are_not_python_are_inside(self):
        """Schema migrations, lab data, units and the sample are packed."""
        committed = _run('git', 'ls-files', 'kvm_balancer', cwd=_ROOT)
        inside = set(zipfile.ZipFile(self.wheel).namelist())
        self.assertEqual(set(), set(committed.splitlines()) - inside)
        for name in (
            'kvm-balancer.conf.sample',
            'kvm-balancer-agent.service',
            'kvm-balancer-executor.service',
        ):
            self.assertTrue(
                any(
                    path.endswith(f'etc/kvm_balancer/{name}')
                    for path in inside
                )
            )

    def test_the_wheel_tells_its_licence(self):
        """The licence travels with the code."""
        inside = zipfile.ZipFile(self.wheel).namelist()
        self.assertTrue(any(path.endswith('/LICENSE') for path in inside))
