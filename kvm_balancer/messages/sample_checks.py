"""What of a sample is believed: shapes, numbers, texts and words.

A sample comes from a host over which the agent has no power: all of it is
checked here, and what does not fit is refused with a cause under which it is
counted and one line that names host and field. What needs to be compared
with other samples (sequence, time) is looked at by the fleet.

A ``state`` or ``owner`` of an instance that this release does not know is
read as ``other`` and ``none``: such an instance counts as load and is never
moved. What makes one nobody's, in a word that is not known, is left out.
"""

import dataclasses
import functools
import itertools
import math
import operator
import re
from typing import Any

from kvm_balancer import errors
from kvm_balancer.messages import schema
from kvm_balancer.model import owners
from kvm_balancer.model import refusal
from kvm_balancer.model import sample

#: Far above what one host has.
_MAX_INSTANCES = 10_000
#: Of one instance: more than twice the options that there are.
_MAX_WISHES = 32
#: Of any size, rate or count: an exbibyte in MiB.
_MAX_NUMBER = float(2**40)
#: Host names and uuids are far shorter, domain names at most this long.
_MAX_TEXT = 255
#: The year 5138.
_MAX_TIME = 1e11

_OWNERS = frozenset(owners.Owner)
_WITHHELD = frozenset(owners.Withheld)
_STATES = frozenset({'running', 'paused', 'incoming', 'outgoing', 'other'})
_HOST_STATES = frozenset({'enabled', 'disabled', 'draining'})
_TEXT_COLUMNS = ('id', 'name', 'owner', 'state')
_NUMBER_COLUMNS = tuple(
    field.name
    for field in dataclasses.fields(sample.InstanceUsages)
    if field.name not in (*_TEXT_COLUMNS, 'asks', 'withheld')
)
_COLUMNS = _TEXT_COLUMNS + _NUMBER_COLUMNS
_numbers = operator.attrgetter(*_NUMBER_COLUMNS)
_all_columns = operator.attrgetter(*_COLUMNS)
#: The records that stand beside the columns, and what is in them.
_FIELDS = {
    record: tuple(field.name for field in dataclasses.fields(record))
    for record in (sample.HostFacts, sample.HostUsage, sample.Pressure)
}
_usage_numbers = operator.attrgetter(
    *(
        name
        for name in _FIELDS[sample.HostUsage]
        if name not in ('pressure', 'memory_used_mib')
    )
)
#: Columns that a sender may leave out: the others come without a default.
_OPTIONAL_COLUMNS = (
    'disk_gib',
    'cpu_steal',
    'dirty_rate_mib_s',
    'network_rx_mib_s',
    'network_tx_mib_s',
    'block_read_mib_s',
    'block_write_mib_s',
    'hot_set_mib',
    'cold_rate_mib_s',
)
_POSITIVE = ('cpus', 'memory_mib')
_CONTROL = re.compile(r'[\x00-\x1f\x7f]')


def checked(read: sample.Sample) -> sample.Sample:
    """Return a sample as it can be counted with.

    :raises SampleRefused: with a cause of :class:`.refusal.Cause` and one
        line that names host and field
    """
    _check_name(read.host)
    _check_heading(read)
    _check_facts(read.host, read.facts)
    _check_usage(read.host, read.usage)
    instances = _checked_instances(read.host, read.instances)
    if instances is read.instances:
        return read
    return dataclasses.replace(read, instances=instances)


def refused(
    cause: refusal.Cause, host: str, text: str
) -> errors.SampleRefused:
    """Return the error of a sample that is not taken, in one line."""
    where = f'sample of {schema.brief(host)}' if host else 'sample'
    return errors.SampleRefused(cause, f'{where}: {text}')


def _check_name(host: str) -> None:
    if not host or len(host) > _MAX_TEXT or _CONTROL.search(host):
        raise refused(
            refusal.Cause.ABSURD,
            host,
            f'host must be 1 to {_MAX_TEXT} printable characters',
        )


def _check_heading(read: sample.Sample) -> None:
    host = read.host
    _check_text(host, 'boot', read.boot)
    if read.sequence < 1:
        raise refused(
            refusal.Cause.NEGATIVE,
            host,
            f'sequence is {read.sequence}, it counts from 1',
        )
    _check_number(host, 'sequence', read.sequence, 2.0**63)
    _check_number(host, 'taken_at', read.taken_at, _MAX_TIME)
    _check_number(host, 'interval_seconds', read.interval_seconds, 1e7)


def _check_text(host: str, field: str, text: str) -> None:
    if len(text) > 4 * _MAX_TEXT:
        raise refused(
            refusal.Cause.ABSURD, host, f'{field} is {len(text)} long'
        )


def _check_number(
    host: str, field: str, number: float, limit: float = _MAX_NUMBER
) -> None:
    if 0.0 <= number <= limit:
        return
    if not math.isfinite(number):
        cause, what = refusal.Cause.NOT_A_NUMBER, 'not a number'
    elif number < 0:
        cause, what = refusal.Cause.NEGATIVE, f'negative ({number})'
    else:
        cause, what = refusal.Cause.ABSURD, f'{number}, at most {limit:.0f}'
    raise refused(cause, host, f'{field} is {what}')


def _check_record(host: str, where: str, record: Any) -> None:
    """Check every text and number that stands in *record* itself."""
    for field in _FIELDS[type(record)]:
        value = getattr(record, field)
        if isinstance(value, int | float):
            _check_number(host, f'{where}.{field}', value)
        elif isinstance(value, str):
            _check_text(host, f'{where}.{field}', value)


@functools.lru_cache(maxsize=16_384)
def _check_facts(host: str, facts: sample.HostFacts) -> None:
    """Check what rarely changes, and so only when it has changed."""
    _check_record(host, 'facts', facts)
    for field in _POSITIVE:
        if getattr(facts, field) <= 0:
            raise refused(refusal.Cause.ABSURD, host, f'facts.{field} is 0')
    if facts.state not in _HOST_STATES:
        raise refused(
            refusal.Cause.WRONG_TYPE,
            host,
            f'facts.state is {schema.brief(facts.state)}, expected '
            'enabled, disabled or draining',
        )
    for field in ('aggregates', 'cpu_compatible_with'):
        names = getattr(facts, field)
        if len(names) > _MAX_TEXT:
            raise refused(
                refusal.Cause.TOO_LARGE,
                host,
                f'facts.{field} has {len(names)} names, at most {_MAX_TEXT}',
            )
        for name in names:
            _check_text(host, f'facts.{field}', name)


def _check_usage(host: str, usage: sample.HostUsage) -> None:
    numbers = _usage_numbers(usage)
    if not (min(numbers) >= 0.0 and max(numbers) <= _MAX_NUMBER):
        _check_record(host, 'usage', usage)
    if usage.memory_used_mib is not None:
        _check_number(host, 'usage.memory_used_mib', usage.memory_used_mib)
    _check_record(host, 'usage.pressure', usage.pressure)


def _checked_instances(
    host: str, columns: sample.InstanceUsages
) -> sample.InstanceUsages:
    rows = len(columns.id)
    if rows > _MAX_INSTANCES:
        raise refused(
            refusal.Cause.TOO_LARGE,
            host,
            f'{rows} instances, at most {_MAX_INSTANCES} are taken',
        )
    columns = _completed(columns, rows)
    for field, column in zip(_COLUMNS, _all_columns(columns), strict=True):
        length = len(column)
        if length != rows:
            raise refused(
                refusal.Cause.UNEQUAL_COLUMNS,
                host,
                f'instances.{field} has {length} rows, id has {rows}',
            )
    if not rows:
        return columns
    _check_ids(host, columns.id)
    _check_columns(host, columns)
    _check_asks(host, columns.asks, rows)
    if len(columns.withheld) not in (0, rows):
        raise refused(
            refusal.Cause.UNEQUAL_COLUMNS,
            host,
            f'instances.withheld has {len(columns.withheld)} rows, id has '
            f'{rows}',
        )
    return _understood(columns)


def _completed(
    columns: sample.InstanceUsages, rows: int
) -> sample.InstanceUsages:
    """Fill the columns that an older sender does not know."""
    missing: dict[str, Any] = {
        field: (0.0,) * rows
        for field in _OPTIONAL_COLUMNS
        if not getattr(columns, field)
    }
    if not rows or not missing:
        return columns
    return dataclasses.replace(columns, **missing)


def _check_ids(host: str, ids: tuple[str, ...]) -> None:
    if len(set(ids)) != len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise refused(
            refusal.Cause.DUPLICATE_INSTANCE,
            host,
            f'instances.id has {schema.brief(twice)} twice',
        )
    if not all(ids):
        raise refused(
            refusal.Cause.ABSURD, host, 'instances.id has an empty id'
        )


def _check_columns(host: str, columns: sample.InstanceUsages) -> None:
    for field in ('id', 'name'):
        column = getattr(columns, field)
        if max(map(len, column)) > _MAX_TEXT:
            raise refused(
                refusal.Cause.ABSURD,
                host,
                f'instances.{field} has a text longer than {_MAX_TEXT}',
            )
    numbers = tuple(itertools.chain.from_iterable(_numbers(columns)))
    # JSON as it is read here holds no NaN: two comparisons tell all.
    if min(numbers) >= 0.0 and max(numbers) <= _MAX_NUMBER:
        return
    for field in _NUMBER_COLUMNS:
        for row, number in enumerate(getattr(columns, field)):
            _check_number(host, f'instances.{field}[{row}]', number)


def _check_asks(
    host: str, asks: tuple[tuple[tuple[str, str], ...], ...], rows: int
) -> None:
    """Check what is asked for; whether it is understood is not for here."""
    if not asks:
        return
    if len(asks) != rows:
        raise refused(
            refusal.Cause.UNEQUAL_COLUMNS,
            host,
            f'instances.asks has {len(asks)} rows, id has {rows}',
        )
    for row, wishes in enumerate(asks):
        if len(wishes) > _MAX_WISHES:
            raise refused(
                refusal.Cause.TOO_LARGE,
                host,
                f'instances.asks[{row}] has {len(wishes)} wishes, at most '
                f'{_MAX_WISHES} are taken',
            )
        for text in itertools.chain.from_iterable(wishes):
            _check_text(host, f'instances.asks[{row}]', text)


def _understood(columns: sample.InstanceUsages) -> sample.InstanceUsages:
    """Read words of a later release as the most careful one of ours."""
    changes: dict[str, Any] = {}
    if not _STATES.issuperset(columns.state):
        changes['state'] = tuple(
            one if one in _STATES else 'other' for one in columns.state
        )
    if not _OWNERS.issuperset(columns.owner):
        changes['owner'] = tuple(
            one if one in _OWNERS else owners.Owner.NONE
            for one in columns.owner
        )
    if not _WITHHELD.issuperset(columns.withheld):
        changes['withheld'] = tuple(
            one if one in _WITHHELD else owners.Withheld.NOT
            for one in columns.withheld
        )
    return dataclasses.replace(columns, **changes) if changes else columns
