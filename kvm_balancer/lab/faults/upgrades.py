"""An executor that is stopped, and another release of it started."""

import contextlib
import importlib.metadata
import pathlib
import shutil
import sqlite3

import kvm_balancer
from kvm_balancer import errors
from kvm_balancer.lab import services
from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons

_DISTRIBUTION = 'kvm-balancer'
#: Under load a program takes its time to begin.
_START_SECONDS = 60.0

#: What the first release with a table of what was seen had in it.
_FIRST = frozenset(('migration_id', 'across', 'ran_there', 'told'))


class ExecutorUpgraded(contract.Fault):
    """The executor of one end is stopped, and a newer release started.

    The new code is a copy of the package under another version, in a place of
    its own. It stays. What it finds is the journal of the first release: later
    ones have added to that.
    """

    hold_seconds = (0.0, 1.0)

    def __init__(self, end: daemons.End) -> None:
        self._end = end
        self.name = f'{end}-executor-upgraded'
        self.title = (
            f'The executor of the {end} is upgraded: stopped, and a newer '
            'release started, which takes up the journal of an older one'
        )

    def prepare(self, scene: contract.Scene) -> None:
        """Put the new release beside the old one."""
        place = _place(scene)
        package = pathlib.Path(kvm_balancer.__file__).parent
        shutil.copytree(
            package,
            place / package.name,
            ignore=shutil.ignore_patterns('__pycache__'),
            dirs_exist_ok=True,
        )
        _describe(place / f'kvm_balancer-{_version()}.dist-info')

    def begin(self, scene: contract.Scene) -> None:
        host = daemons.end_of(scene, self._end)
        host.processes.stop('executor', wait_seconds=30.0)
        journal = services.journal(host)
        _take_back(journal)
        if _columns(journal) != _FIRST:
            raise errors.LabError(f'{journal} is of no older release')

    def heal(self, scene: contract.Scene) -> None:
        host = daemons.end_of(scene, self._end)
        log = host.processes.log('executor')
        before = len(log.read_bytes())
        daemons.programs(scene).start_executor(
            host, {'PYTHONPATH': str(_place(scene))}
        )
        said = f'{_version()} of {_place(scene)}'
        contract.see(
            lambda: said.encode() in log.read_bytes()[before:],
            f'the executor to say that it is {said}',
            _START_SECONDS,
        )
        contract.see(
            lambda: _columns(services.journal(host)) > _FIRST,
            'the executor to complete the journal of the older release',
            _START_SECONDS,
        )


def _place(scene: contract.Scene) -> pathlib.Path:
    return scene.lab.directory / 'upgrade'


def _version() -> str:
    """Return the version of the new release."""
    return f'{importlib.metadata.version(_DISTRIBUTION)}+upgraded'


def _describe(place: pathlib.Path) -> None:
    """Write what tells of the new release as an installed one.

    With its entry points: those of the old one do not count beside it.
    """
    found = importlib.metadata.distribution(_DISTRIBUTION)
    place.mkdir(exist_ok=True)
    (place / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {_DISTRIBUTION}\n'
        f'Version: {_version()}\n'
    )
    name = 'entry_points.txt'
    (place / name).write_text(found.read_text(name) or '')


def _take_back(journal: pathlib.Path) -> None:
    """Leave in a journal what the first release had in it."""
    with contextlib.closing(sqlite3.connect(journal)) as file:
        for column in _columns(journal) - _FIRST:
            file.execute(f'ALTER TABLE knowledge DROP COLUMN {column}')


def _columns(journal: pathlib.Path) -> frozenset[str]:
    """Return what a journal has of what was seen."""
    with contextlib.closing(sqlite3.connect(journal)) as file:
        return frozenset(
            name
            for _, name, *_ in file.execute('PRAGMA table_info(knowledge)')
        )
