"""What a laboratory is, written down before anything of it is made.

Whoever takes it down, in another process or after an accident, reads here
what it consists of. The file is removed last of all: while it is there, the
directory is a laboratory's, and nobody else's.
"""

import pathlib

import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import ledger
from tests.openstack.lab import configuration

_FILE = 'nova-lab.json'


def claim(directory: pathlib.Path, options: configuration.Options) -> None:
    """Write a laboratory down.

    :raises LabError: when the directory has another one, or anything else
    """
    if read(directory) is not None:
        raise errors.LabError(
            f'a laboratory is in {directory} already: take it down first'
        )
    if directory.exists() and (
        not directory.is_dir() or any(directory.iterdir())
    ):
        raise errors.LabError(
            f'{directory} is not an empty directory: choose another one'
        )
    directory.mkdir(parents=True, exist_ok=True)
    new = (directory / _FILE).with_suffix('.new')
    new.write_bytes(msgspec.json.format(msgspec.json.encode(options)))
    new.replace(directory / _FILE)


def read(directory: pathlib.Path) -> configuration.Options | None:
    """Return what the laboratory of a directory is; None without one.

    :raises LabError: when the file is not one of ours
    """
    path = directory / _FILE
    try:
        return msgspec.json.decode(
            path.read_bytes(), type=configuration.Options
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise errors.LabError(f'{path}: {error}') from None


def clear(directory: pathlib.Path) -> None:
    """Remove the directory, and what says that it is ours last of all."""
    if not directory.exists():
        return
    ledger.empty(directory, _FILE)
    directory.rmdir()
