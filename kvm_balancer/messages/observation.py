"""What an executor tells of a migration that it watches for somebody else.

Asked for again and again; each answer has what was seen since the one that
the asker has. Times are told as ages, so that the clocks of two hosts need
not agree. Payloads are dicts of plain types, as RPC carries them.
"""

import collections.abc
import dataclasses
from typing import Any

from kvm_balancer import errors
from kvm_balancer.messages import schema
from kvm_balancer.migration import events

ASK_SCHEMA = 'kvm-balancer/observation-ask/1'
ANSWER_SCHEMA = 'kvm-balancer/observation-answer/1'

_WITH_STATISTICS: dict[
    str, type[events.Progressed] | type[events.PassEnded]
] = {one.__name__: one for one in (events.Progressed, events.PassEnded)}
_PLAIN: dict[str, type[events.Event]] = {
    one.__name__: one
    for one in (
        events.SourceStopped,
        events.PostCopyBegun,
        events.PostCopyBroke,
        events.CallReturned,
    )
}


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """The wish to be told of the next migration of an instance.

    :ivar instance: its uuid
    :ivar migration_id: of the migration that it is watched for; another one
        is another watch
    :ivar watch: of the last answer; empty before the first
    :ivar after: number of the last event that came with it
    """

    instance: str
    migration_id: str
    watch: str = ''
    after: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One event.

    :ivar number: counted from 1 within a watch
    :ivar kind: name of the event's class
    :ivar age_seconds: of it, when the answer was made
    """

    number: int
    kind: str
    age_seconds: float
    cause: str
    statistics: events.Statistics | None = None
    downtime_ms: float | None = None
    text: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What was seen, oldest first.

    :ivar watch: names the watch; one that was begun anew has another name,
        and counts anew
    """

    watch: str
    seen: tuple[Seen, ...] = ()


def seen(number: int, event: events.Event, now: float) -> Seen:
    """Return an event as it is told *now*, in the time of its clock."""
    return Seen(
        number,
        type(event).__name__,
        max(0.0, now - event.at),
        event.cause,
        getattr(event, 'statistics', None),
        getattr(event, 'downtime_ms', None),
        getattr(event, 'text', ''),
    )


def event(told: Seen, now: float) -> events.Event:
    """Return the event, in the time of who was told of it *now*.

    :raises DocumentError: when it is none that is told of a job
    """
    at, cause = now - told.age_seconds, told.cause
    if told.kind in _PLAIN:
        return _PLAIN[told.kind](at=at, cause=cause)
    if told.kind == events.Noted.__name__:
        return events.Noted(at=at, cause=cause, text=told.text)
    if told.statistics is not None:
        if told.kind in _WITH_STATISTICS:
            return _WITH_STATISTICS[told.kind](
                at=at, cause=cause, statistics=told.statistics
            )
        if told.kind == events.JobSettled.__name__:
            return events.JobSettled(
                at=at,
                cause=cause,
                statistics=told.statistics,
                downtime_ms=told.downtime_ms,
            )
    raise errors.DocumentError(
        f'{ANSWER_SCHEMA}: seen: {schema.brief(told.kind)} is nothing that is '
        'seen of a job'
    )


def encode_ask(ask: Ask) -> dict[str, Any]:
    """Return the wish as a payload."""
    return schema.wrap(ASK_SCHEMA, ask)


def decode_ask(payload: object) -> Ask:
    """Read the wish.

    :raises DocumentError: one line that names the field
    """
    ask = schema.unwrap(ASK_SCHEMA, payload, Ask)
    schema.check_named(
        ASK_SCHEMA, instance=ask.instance, migration_id=ask.migration_id
    )
    return ask


def encode_answer(answer: Answer) -> dict[str, Any]:
    """Return the answer as a payload."""
    return schema.wrap(ANSWER_SCHEMA, answer)


def decode_answer(payload: object) -> Answer:
    """Read the answer.

    :raises DocumentError: one line that names the field
    """
    answer = schema.unwrap(ANSWER_SCHEMA, payload, Answer)
    schema.check_named(ANSWER_SCHEMA, watch=answer.watch)
    _check_order(answer.seen)
    return answer


def _check_order(told: collections.abc.Sequence[Seen]) -> None:
    last = 0
    for one in told:
        if one.number <= last or one.age_seconds < 0:
            raise errors.DocumentError(
                f'{ANSWER_SCHEMA}: seen: number {one.number} after {last}, '
                f'{one.age_seconds:g} s old: neither goes back'
            )
        last = one.number
