"""What executors say to each other about reserving for an instance to come.

Payloads are dicts of plain types, as RPC carries them.
"""

import dataclasses
from typing import Any

from kvm_balancer import errors
from kvm_balancer.messages import schema
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration import reservation

ASK_SCHEMA = 'kvm-balancer/reservation-ask/1'
ANSWER_SCHEMA = 'kvm-balancer/reservation-answer/1'
RELEASE_SCHEMA = 'kvm-balancer/reservation-release/1'
CLAIM_SCHEMA = 'kvm-balancer/reservation-claim/1'


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """The wish that a destination reserves memory, or keeps a lease on.

    :ivar options: the means that the destination has to go along with
    :ivar address: that the stream is to be sent to; empty where the source
        does not say
    """

    claim: reservation.Claim
    options: request.Options
    address: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the destination says to it.

    :ivar checks: what only the destination can tell, ``reservation`` the
        first; fewer where a lease was renewed
    :ivar lease_seconds: the lease holds so long; 0 where it was refused
    :ivar bandwidth_mib_s: what its network leaves to the stream, MiB/s; 0
        for all of it
    :ivar streams: how many come to it at a time, this one among them; 1 from
        an executor that does not tell
    """

    checks: tuple[events.Check, ...]
    lease_seconds: float = 0.0
    bandwidth_mib_s: float = 0.0
    streams: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """The wish that a destination takes a lease back."""

    migration_id: str


def encode_ask(ask: Ask) -> dict[str, Any]:
    """Return the wish for a lease as a payload."""
    return schema.wrap(ASK_SCHEMA, ask)


def decode_ask(payload: object) -> Ask:
    """Read the wish for a lease.

    :raises DocumentError: one line that names the field
    """
    ask = schema.unwrap(ASK_SCHEMA, payload, Ask)
    _check_names(ASK_SCHEMA, ask.claim)
    for need in ask.claim.images:
        if not need.directory or need.mib < 0:
            raise errors.DocumentError(
                f'{ASK_SCHEMA}: claim asks for {need.mib:g} MiB in '
                f'"{need.directory}", which is no room for images'
            )
    if not ask.claim.memory_mib > 0 or ask.claim.bandwidth_mib_s < 0:
        raise errors.DocumentError(
            f'{ASK_SCHEMA}: claim asks for '
            f'{ask.claim.memory_mib:g} MiB and '
            f'{ask.claim.bandwidth_mib_s:g} MiB/s, which nobody needs'
        )
    return ask


def encode_answer(answer: Answer) -> dict[str, Any]:
    """Return the answer of a destination as a payload."""
    return schema.wrap(ANSWER_SCHEMA, answer)


def decode_answer(payload: object) -> Answer:
    """Read the answer of a destination.

    It refuses, or it grants a lease for a time: no copy is started on one that
    does neither.

    :raises DocumentError: one line that names the field
    """
    answer = schema.unwrap(ANSWER_SCHEMA, payload, Answer)
    if answer.lease_seconds < 0 or answer.bandwidth_mib_s < 0:
        raise errors.DocumentError(
            f'{ANSWER_SCHEMA}: {answer.lease_seconds:g} s and '
            f'{answer.bandwidth_mib_s:g} MiB/s: neither can be less than 0'
        )
    if answer.streams < 1:
        raise errors.DocumentError(
            f'{ANSWER_SCHEMA}: {answer.streams} streams, which do not count '
            'the one that is answered'
        )
    if not (_refuses(answer) or _grants(answer)):
        raise errors.DocumentError(
            f'{ANSWER_SCHEMA}: checks and lease_seconds neither refuse '
            'nor grant it for a time'
        )
    return answer


def _refuses(answer: Answer) -> bool:
    return any(one.verdict is events.Verdict.FAILED for one in answer.checks)


def _grants(answer: Answer) -> bool:
    return answer.lease_seconds > 0 and any(
        one.name == reservation.CHECK and one.verdict is events.Verdict.PASSED
        for one in answer.checks
    )


def encode_release(wish: Release) -> dict[str, Any]:
    """Return the wish that a lease is taken back as a payload."""
    return schema.wrap(RELEASE_SCHEMA, wish)


def decode_release(payload: object) -> Release:
    """Read the wish that a lease is taken back.

    :raises DocumentError: one line that names the field
    """
    wish = schema.unwrap(RELEASE_SCHEMA, payload, Release)
    schema.check_named(RELEASE_SCHEMA, migration_id=wish.migration_id)
    return wish


def encode_claim(claim: reservation.Claim) -> dict[str, Any]:
    """Return what was promised, to be kept on the destination's disk."""
    return schema.wrap(CLAIM_SCHEMA, claim)


def decode_claim(payload: object) -> reservation.Claim:
    """Read what an earlier run promised.

    :raises DocumentError: one line that names the field
    """
    claim = schema.unwrap(CLAIM_SCHEMA, payload, reservation.Claim)
    _check_names(CLAIM_SCHEMA, claim)
    return claim


def _check_names(name: str, claim: reservation.Claim) -> None:
    schema.check_named(
        name,
        migration_id=claim.migration_id,
        instance=claim.instance,
        source=claim.source,
    )
