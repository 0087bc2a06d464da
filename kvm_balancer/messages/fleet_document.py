"""The public fleet document, ``kvm-balancer/fleet/1``, to and from the model.

Unknown keys are ignored; everything else is checked, and a document that
breaks a rule is refused with one line that names the record and the field.
Numbers are checked as columns, so that the check of 200,000 instances costs
milliseconds.
"""

import collections
import collections.abc
import datetime
import json
import re
from typing import Any
from typing import Final

import msgspec
import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import records

SCHEMA: Final = 'kvm-balancer/fleet/1'

_STATES: Final = {one.name.lower(): one for one in columns.HostState}
_POLICIES: Final = {
    one.name.lower().replace('_', '-'): one for one in columns.GroupPolicy
}
#: what no number may be over, nor those that must be more than 0 under, so
#: that sums, quotients and squares of them stay numbers
_MOST: Final = 1e15
_LEAST: Final = 1e-9
#: fields that must be more than 0; all other numbers at least 0
_POSITIVE: Final = frozenset(
    (
        'cpus',
        'memory_mib',
        'vcpus',
        'cpu_allocation_ratio',
        'memory_allocation_ratio',
        'disk_allocation_ratio',
        'migration_mib_s',
    )
)


#: of an option: as JSON has it; the text of metadata is told apart below
_Value = bool | int | float | str


class _Host(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    name: str
    cpus: float
    memory_mib: float
    memory_reserved_mib: float = 0.0
    disk_gib: float = 0.0
    cpu_allocation_ratio: float = 16.0
    memory_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    migration_mib_s: float = 1120.0
    max_incoming: int = 2
    max_outgoing: int = 2
    zone: str = ''
    aggregates: tuple[str, ...] = ()
    cpu_model: str = ''
    cpu_compatible_with: tuple[str, ...] = ()
    cpu_overhead: float = 0.0
    state: str = 'enabled'
    memory_used_mib: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None


class _Instance(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    id: str
    host: str
    vcpus: float
    memory_mib: float
    name: str = ''
    disk_gib: float = 0.0
    cpu_usage: float = 0.0
    memory_usage_mib: float | None = None
    dirty_rate_mib_s: float = 0.0
    hot_set_mib: float = 0.0
    cold_rate_mib_s: float = 0.0
    cpu_steal: float = 0.0
    io_mib_s: float = 0.0
    movable: bool = True
    groups: tuple[str, ...] = ()
    required_aggregates: tuple[str, ...] = ()
    migration: dict[str, _Value] = {}

    @property
    def wishes(self) -> columns.Wishes:
        """What it asks of its migrations, in the words of metadata."""
        return tuple(
            (name, _text(value)) for name, value in self.migration.items()
        )


class _Group(msgspec.Struct, frozen=True, gc=False):
    name: str
    policy: str
    max_per_host: int = 1


class _Document(msgspec.Struct, frozen=True):
    schema: str
    hosts: list[_Host]
    instances: list[_Instance]
    groups: list[_Group] = []
    taken_at: str = ''


def decode(document: bytes | str) -> columns.Fleet:
    """Read a fleet document.

    :raises DocumentError: naming the record and the field that is wrong
    """
    try:
        found = msgspec.json.decode(document, type=_Document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        found = _second_look(document, error)
    return _fleet(found)


def encode(fleet: columns.Fleet) -> bytes:
    """Return *fleet* as one JSON document."""
    return msgspec.json.encode(_document(fleet))


def _second_look(document: bytes | str, error: Exception) -> _Document:
    """Find words for what the strict reader refused.

    It knows where a record is, but not how it is called; and to it a NaN is
    no JSON at all, while here it is a number in some record's field.
    """
    try:
        loose = json.loads(document)
    except ValueError:
        raise errors.DocumentError(f'not JSON: {error}') from error
    except RecursionError:
        raise errors.DocumentError('nested too deeply') from None
    if isinstance(loose, dict):
        _check_schema(loose.get('schema', ''))
    try:
        return msgspec.convert(loose, type=_Document)
    except msgspec.ValidationError as wrong:
        raise errors.DocumentError(_in_words(str(wrong), loose)) from wrong


def _check_schema(schema: object) -> None:
    if schema != SCHEMA:
        raise errors.DocumentError(
            f'schema: is {schema!r}, must be {SCHEMA!r}'
        )


def _in_words(text: str, loose: Any) -> str:
    """Turn "... - at `$.hosts[3].cpus`" into the name of the record."""
    where = re.search(r' - at `\$\.?(.*)`$', text)
    if where is None:
        return f'not a fleet document: {text}'
    what, path = text[: where.start()], where.group(1)
    inside = re.match(r'(hosts|instances|groups)\[(\d+)\]\.?(.*)', path)
    if inside is None:
        return f'{path}: {what}'
    kind, index, field = inside.groups()
    record = loose[kind][int(index)]
    name = ''
    if isinstance(record, dict):
        name = str(record.get('id', record.get('name', '')))
    title = f'{kind}[{index}] {name}'.strip()
    return f'{title}: {field}: {what}' if field else f'{title}: {what}'


def _fleet(found: _Document) -> columns.Fleet:
    _check_schema(found.schema)
    hosts = [one.name for one in found.hosts]
    groups = [one.name for one in found.groups]
    _unique('hosts', 'name', hosts)
    _unique('instances', 'id', [one.id for one in found.instances])
    _unique('groups', 'name', groups)
    _numbers('hosts', found.hosts, hosts)
    _numbers('instances', found.instances, None)
    _references(found.instances, set(hosts), set(groups))
    return records.build_fleet(
        [_host(one, row) for row, one in enumerate(found.hosts)],
        found.instances,
        [_group(one, row) for row, one in enumerate(found.groups)],
        _seconds(found.taken_at),
    )


def _unique(kind: str, field: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice, _ = collections.Counter(names).most_common(1)[0]
        last = len(names) - 1 - names[::-1].index(twice)
        raise errors.DocumentError(
            f'{kind}[{last}] {twice}: {field}: is there twice'
        )
    if '' in names:
        row = names.index('')
        raise errors.DocumentError(f'{kind}[{row}]: {field}: is empty')


def _numbers(
    kind: str,
    rows: collections.abc.Sequence[_Host]
    | collections.abc.Sequence[_Instance],
    names: list[str] | None,
) -> None:
    """Check every number of *rows*, a field at a time."""
    if not rows:
        return
    for field in msgspec.structs.fields(rows[0]):
        if field.type not in (int, float, float | None):
            continue
        values = np.array(
            [getattr(one, field.name) for one in rows], np.float64
        )
        least = _LEAST if field.name in _POSITIVE else 0.0
        fine = (values >= least) & (values <= _MOST)
        if field.type not in (int, float):
            # a number that may be left out has become a NaN here
            left_out = [getattr(one, field.name) is None for one in rows]
            fine |= np.array(left_out)
        if not fine.all():
            row = int(np.argmin(fine))
            record = rows[row]
            name = record.name if isinstance(record, _Host) else record.id
            wanted = 'more than 0' if least else '0 or more'
            if values[row] > least:
                wanted = f'at most {_MOST:g}'
            raise errors.DocumentError(
                f'{kind}[{row}] {name}: {field.name}: is '
                f'{getattr(record, field.name)}, must be a number, {wanted}'
            )


def _references(
    instances: collections.abc.Sequence[_Instance],
    hosts: set[str],
    groups: set[str],
) -> None:
    for row, one in enumerate(instances):
        if one.host not in hosts:
            raise errors.DocumentError(
                f'instances[{row}] {one.id}: host: there is no host '
                f'{one.host!r}'
            )
        if one.groups:
            for name in one.groups:
                if name not in groups:
                    raise errors.DocumentError(
                        f'instances[{row}] {one.id}: groups: there is no '
                        f'group {name!r}'
                    )


def _host(one: _Host, row: int) -> records.HostRecord:
    values = msgspec.structs.asdict(one)
    values['state'] = _word(f'hosts[{row}] {one.name}', 'state', one.state)
    if one.memory_reserved_mib >= one.memory_mib:
        raise errors.DocumentError(
            f'hosts[{row}] {one.name}: memory_reserved_mib: is '
            f'{one.memory_reserved_mib:g}, and leaves nothing of '
            f'{one.memory_mib:g} MiB'
        )
    return records.HostRecord(**values)


def _group(one: _Group, row: int) -> records.GroupRecord:
    title = f'groups[{row}] {one.name}'
    if one.max_per_host < 1:
        raise errors.DocumentError(
            f'{title}: max_per_host: is {one.max_per_host}, must be at least 1'
        )
    if one.policy not in _POLICIES:
        raise errors.DocumentError(
            f'{title}: policy: is {one.policy!r}, must be one of '
            f'{", ".join(_POLICIES)}'
        )
    return records.GroupRecord(
        one.name, _POLICIES[one.policy], one.max_per_host
    )


def _word(title: str, field: str, word: str) -> columns.HostState:
    if word not in _STATES:
        raise errors.DocumentError(
            f'{title}: {field}: is {word!r}, must be one of '
            f'{", ".join(_STATES)}'
        )
    return _STATES[word]


def _seconds(taken_at: str) -> float:
    if not taken_at:
        return 0.0
    try:
        moment = datetime.datetime.fromisoformat(taken_at)
    except ValueError as error:
        raise errors.DocumentError(
            f'taken_at: is {taken_at!r}, must be a time such as '
            f'2026-11-23T03:00:00Z'
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def _document(fleet: columns.Fleet) -> _Document:
    taken_at = ''
    if fleet.taken_at:
        moment = datetime.datetime.fromtimestamp(fleet.taken_at, datetime.UTC)
        taken_at = moment.isoformat().replace('+00:00', 'Z')
    hosts, instances, groups = records.to_records(fleet)
    words = {state: word for word, state in _STATES.items()}
    policies = {policy: word for word, policy in _POLICIES.items()}
    return _Document(
        schema=SCHEMA,
        taken_at=taken_at,
        hosts=[
            _Host(**{**_values(one, _Host), 'state': words[one.state]})
            for one in hosts
        ],
        instances=[_instance(one) for one in instances],
        groups=[
            _Group(one.name, policies[one.policy], one.max_per_host)
            for one in groups
        ],
    )


def _instance(one: records.InstanceRecord) -> _Instance:
    values = {
        name: getattr(one, name)
        for name in _Instance.__struct_fields__
        if name != 'migration'
    }
    return _Instance(
        **values, migration={name: _read(text) for name, text in one.wishes}
    )


def _text(value: _Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.15g}' if isinstance(value, float) else str(value)


def _read(text: str) -> _Value:
    """Return the text of metadata as JSON would have it."""
    if text in ('true', 'false'):
        return text == 'true'
    if text.isascii() and text.isdecimal() and str(int(text)) == text:
        return int(text)
    return text


def _values(record: object, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in kind.__struct_fields__}
