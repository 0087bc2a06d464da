"""The public load document, ``kvm-balancer/load/1``, to and from the model.

A CSV, which may be compressed by gzip: a header, then one row for each
change of an instance's load. The columns ``instance``, ``second`` and
``cpu_usage`` have to be there, in any order; ``memory_usage_mib`` and
``dirty_rate_mib_s`` may be, and may be empty in a row. Others are ignored.
The rows of an instance are in the order of time.
"""

import collections.abc
import csv
import gzip
from typing import Final
import zlib

import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import traces

SCHEMA: Final = 'kvm-balancer/load/1'

_REQUIRED: Final = ('instance', 'second', 'cpu_usage')
_OPTIONAL: Final = ('memory_usage_mib', 'dirty_rate_mib_s')
_GZIP: Final = b'\x1f\x8b'
#: Large enough for any usage, small enough for arithmetic.
_MOST: Final = 1e12


def decode(document: bytes) -> traces.Traces:
    """Read a load document.

    :raises DocumentError: naming the line and the column that is wrong
    """
    rows = csv.reader(_text(document).splitlines())
    places = _places(next(rows, []))
    names: dict[str, int] = {}
    number: list[int] = []
    figures: list[tuple[float, ...]] = []
    for row in rows:
        if not row:
            continue
        line = rows.line_num
        try:
            name = row[places['instance']].strip()
            figures.append(
                tuple(
                    _number(row[place], column in _OPTIONAL)
                    for column, place in places.items()
                    if column != 'instance'
                )
            )
        except IndexError:
            raise errors.DocumentError(
                f'line {line}: has {len(row)} columns, the header has more'
            ) from None
        except ValueError:
            raise errors.DocumentError(_wrong(row, places, line)) from None
        if not name:
            raise errors.DocumentError(f'line {line}: instance: is empty')
        number.append(names.setdefault(name, len(names)))
    if not figures:
        raise errors.DocumentError('holds no load: it has no rows')
    return _sorted(
        tuple(names),
        np.array(number, np.intp),
        dict(
            zip(
                (one for one in places if one != 'instance'),
                np.array(figures, np.float64).T,
                strict=True,
            )
        ),
    )


def encode(
    rows: collections.abc.Iterable[tuple[str, float, float]],
) -> bytes:
    """Write what instances used.

    :param rows: instance, second and cores; those of an instance in order
    """
    lines = _Lines()
    writer = csv.writer(lines, lineterminator='\n')
    writer.writerow(_REQUIRED)
    for name, second, cpu_usage in rows:
        writer.writerow((name, f'{second:.0f}', f'{cpu_usage:.4g}'))
    return ''.join(lines).encode()


class _Lines(list[str]):
    """What a writer of CSV takes for a file."""

    write = list.append


def _text(document: bytes) -> str:
    try:
        if document.startswith(_GZIP):
            document = gzip.decompress(document)
        return document.decode()
    except (OSError, EOFError, zlib.error) as error:
        raise errors.DocumentError(f'not gzip: {error}') from None
    except UnicodeDecodeError:
        raise errors.DocumentError(
            f'not a {SCHEMA} document: it is not text'
        ) from None


def _places(header: list[str]) -> dict[str, int]:
    """Return in which column each field is."""
    named = {name.strip(): place for place, name in enumerate(header)}
    for name in _REQUIRED:
        if name not in named:
            raise errors.DocumentError(
                f'line 1: there is no column {name}; a {SCHEMA} document '
                f'begins with {",".join(_REQUIRED)}'
            )
    wanted = (*_REQUIRED, *_OPTIONAL)
    return {name: named[name] for name in wanted if name in named}


def _number(text: str, may_be_empty: bool) -> float:
    if may_be_empty and not text.strip():
        return np.nan
    value = float(text)
    if not 0.0 <= value <= _MOST:
        raise ValueError
    return value


def _wrong(row: list[str], places: dict[str, int], line: int) -> str:
    """Say which column of a row is wrong."""
    for column, place in places.items():
        if column == 'instance':
            continue
        try:
            _number(row[place], column in _OPTIONAL)
        except ValueError:
            return (
                f'line {line}: {column}: is {row[place]!r}, must be a '
                'number, 0 or more'
            )
    return f'line {line}: cannot be read'


def _sorted(
    names: tuple[str, ...],
    number: np.typing.NDArray[np.intp],
    found: dict[str, np.typing.NDArray[np.float64]],
) -> traces.Traces:
    """Put the rows of each instance together."""
    order = np.argsort(number, kind='stable')
    number = number[order]
    second = found['second'][order]
    back = np.flatnonzero((np.diff(second) <= 0) & (np.diff(number) == 0))
    if len(back):
        place = int(back[0])
        raise errors.DocumentError(
            f'instance {names[number[place]]}: second: '
            f'{second[place + 1]:g} comes after {second[place]:g}; rows of '
            'an instance have to be in the order of time'
        )
    missing = np.full(len(second), np.nan)
    return traces.Traces(
        name=names,
        offset=np.searchsorted(number, np.arange(len(names) + 1)),
        second=second,
        cpu_usage=found['cpu_usage'][order],
        memory_usage_mib=found.get('memory_usage_mib', missing)[order],
        dirty_rate_mib_s=found.get('dirty_rate_mib_s', missing)[order],
    )
