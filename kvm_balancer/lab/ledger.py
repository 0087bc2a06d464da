"""The file in which a laboratory writes down what it is about to make."""

import pathlib

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
