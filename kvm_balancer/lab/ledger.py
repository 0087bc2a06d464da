"""The file in which a laboratory writes down what it is about to make."""

import contextlib
import pathlib
import shutil

import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import description

_FILE = 'lab.json'


def write(lab: description.Lab) -> None:
    """Write *lab* down, whole or not at all."""
    path = lab.path / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix('.new')
    new.write_bytes(msgspec.json.format(msgspec.json.encode(lab)))
    new.replace(path)


def read(directory: pathlib.Path) -> description.Lab | None:
    """Return the laboratory of *directory*, or None when there is none.

    :raises LabError: when the file is not one of ours
    """
    path = directory.absolute() / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=description.Lab)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise errors.LabError(f'{path}: {error}') from None


def clear(directory: pathlib.Path) -> None:
    """Remove the directory, and what says that it is ours last of all."""
    empty(directory, _FILE)
    with contextlib.suppress(OSError):
        directory.rmdir()


def empty(directory: pathlib.Path, last: str) -> None:
    """Remove what is in a directory, the file *last* after all else."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != last:
            path.unlink()
    (directory / last).unlink(missing_ok=True)
