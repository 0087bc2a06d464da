"""The virtual environment of the services, made once and kept.

It is not that of the project: Nova's dependencies are Nova's own affair. The
project is installed beside it, as an operator does for the plugin of Nova's
scheduler, held to the same versions.
"""

import collections.abc
import contextlib
import fcntl
import hashlib
import pathlib
import shutil
import sys

from kvm_balancer import errors
from kvm_balancer.lab import programs

ROOT = pathlib.Path(__file__).resolve().parents[3]
_REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')
#: Beside the checkout's other environments.
_PLACE = ROOT / '.tox' / 'nova-lab'
#: What makes the tables.
_MAKERS = tuple(
    pathlib.Path(__file__).with_name(f'{name}.py')
    for name in ('database', 'foundation')
)
#: All of it may have to be fetched.
_PATIENCE_SECONDS = 1800.0


def schemas() -> pathlib.Path:
    """Return where a database with all tables is kept, once it is made."""
    return _PLACE / f'schemas-{_digest(*_MAKERS)}'


@contextlib.contextmanager
def alone() -> collections.abc.Iterator[None]:
    """Keep others from making what is kept, for a block: it is made once."""
    _PLACE.parent.mkdir(exist_ok=True)
    with _PLACE.with_suffix('.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make() -> pathlib.Path:
    """Return the directory of its programs; make it where it is not yet.

    :raises LabError: when something cannot be installed
    """
    done = _PLACE / f'installed-{_digest()}'
    programs_directory = _PLACE / 'bin'
    with alone():
        if not done.exists():
            try:
                _install(programs_directory)
            except errors.LabError as error:
                raise errors.LabError(
                    f'Nova cannot be installed from the package index: {error}'
                ) from error
            done.touch()
    return programs_directory


def _install(programs_directory: pathlib.Path) -> None:
    shutil.rmtree(_PLACE, ignore_errors=True)
    programs.run(
        [str(ROOT / 'tools' / 'make-venv'), str(_PLACE), sys.executable],
        _PATIENCE_SECONDS,
    )
    for wanted in (
        ('--requirement', str(_REQUIREMENTS)),
        (
            '--constraint',
            str(_REQUIREMENTS),
            '--editable',
            f'{ROOT}[libvirt]',
        ),
    ):
        programs.run(
            [
                str(programs_directory / 'python'),
                '-m',
                'pip',
                'install',
                '--quiet',
                '--disable-pip-version-check',
                *wanted,
            ],
            _PATIENCE_SECONDS,
        )


def _digest(*files: pathlib.Path) -> str:
    """Return what changes when something else is to be made.

    :param files: besides what is to be installed
    """
    found = hashlib.sha256()
    for one in (_REQUIREMENTS, ROOT / 'requirements.txt', *files):
        found.update(one.read_bytes())
    return found.hexdigest()[:16]
