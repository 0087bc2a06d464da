"""Nova's notifications, of both formats, read into what they are news of.

Nothing is taken from them but what changed, and where: the API is asked for
how it is now, since notifications may come late, twice, out of order, or
never. Metrics are the exception: the API has none.
"""

import collections.abc
import dataclasses
from typing import Any

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import nova_time

Document = collections.abc.Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """Base of what a notification may tell."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerChanged(News):
    """A server is new, gone, or not what it was."""

    id: str


@dataclasses.dataclass(frozen=True, slots=True)
class ComputesChanged(News):
    """A compute's service was enabled, disabled, forced down, or is new."""


@dataclasses.dataclass(frozen=True, slots=True)
class AggregatesChanged(News):
    """An aggregate, its hosts or its metadata changed."""


@dataclasses.dataclass(frozen=True, slots=True)
class GroupsChanged(News):
    """A server group came, went, or has other members."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostMetrics(News):
    """What ``metrics.update`` tells of a host.

    :ivar at: when it was measured, seconds since the epoch
    :ivar cpu_share: of all of its CPUs in use, 0.0 to 1.0; None where it is
        not told
    """

    host: str
    at: float
    cpu_share: float | None


#: Of versioned and legacy notifications alike, by how they begin.
_PREFIXES: tuple[tuple[str, type[News]], ...] = (
    ('service.', ComputesChanged),
    ('aggregate.', AggregatesChanged),
    ('server_group.', GroupsChanged),
    ('servergroup.', GroupsChanged),
)
#: They come in their hundreds while nothing that matters here changes.
_IDLE = ('.exists', '.volume.usage', '.start')
_NAME = 'cpu.percent'


#: Where oslo.messaging puts a message that has an envelope, as JSON again.
_INSIDE = 'oslo.message'


def decode(body: bytes) -> News | None:
    """Read a notification as it comes from the broker.

    :returns: None where it is no news to us
    :raises DocumentError: one line, when it is none of oslo.messaging's
    """
    try:
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and isinstance(found.get(_INSIDE), str):
            found = msgspec.json.decode(found[_INSIDE])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise errors.DocumentError(f'no JSON: {error}') from error
    if not isinstance(found, dict):
        raise errors.DocumentError('it is no object')
    event_type = found.get('event_type')
    if not isinstance(event_type, str):
        raise errors.DocumentError('it has no event_type')
    return read(
        event_type, found.get('payload'), str(found.get('timestamp', ''))
    )


def read(event_type: str, payload: object, sent_at: str = '') -> News | None:
    """Read a notification.

    :param sent_at: the time of the message itself
    :returns: None where it is no news to us, or cannot be read
    """
    if not isinstance(payload, collections.abc.Mapping):
        return None
    if event_type == 'metrics.update':
        return _metrics(_data(payload), 100.0, sent_at)
    if event_type == 'compute.metrics.update':
        return _metrics(payload, 1.0, sent_at)
    for prefix, kind in _PREFIXES:
        if event_type.startswith(prefix):
            return kind()
    if event_type.endswith(_IDLE):
        return None
    if event_type.startswith('instance.'):
        uid = _data(payload).get('uuid')
    elif event_type.startswith('compute.instance.'):
        uid = payload.get('instance_id')
    else:
        return None
    return ServerChanged(uid) if isinstance(uid, str) and uid else None


def _data(payload: Document) -> Document:
    found = payload.get('nova_object.data')
    return found if isinstance(found, collections.abc.Mapping) else {}


def _metrics(
    payload: Document, scale: float, sent_at: str
) -> HostMetrics | None:
    """Read metrics; a share is of 100 in one format and of 1 in the other.

    A value out of that scale is not believed.
    """
    host = payload.get('host') or payload.get('nodename')
    metrics = payload.get('metrics')
    if not isinstance(host, str) or not isinstance(metrics, list):
        return None
    at, share = nova_time.read(sent_at), None
    for one in metrics:
        if not isinstance(one, collections.abc.Mapping):
            continue
        inner = _data(one) or one
        if inner.get('name') != _NAME:
            continue
        value = inner.get('value')
        if isinstance(value, int | float) and 0.0 <= value <= scale:
            share = value / scale
            at = nova_time.read(inner.get('timestamp')) or at
    return HostMetrics(host, at, share)
