"""What executors say to each other about room for an instance to come.

Payloads are dicts of plain types, as RPC carries them.
"""

import dataclasses
from typing import Any

from kvm_balancer import errors
from kvm_balancer.messages import schema
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration import room

ASK_SCHEMA = 'kvm-balancer/room-ask/1'
ANSWER_SCHEMA = 'kvm-balancer/room-answer/1'
CLAIM_SCHEMA = 'kvm-balancer/room-claim/1'


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """The wish that a destination keeps room, or keeps it on.

    :ivar options: the means that the destination has to go along with
    """

    claim: room.Claim
    options: request.Options


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the destination says to it.

    :ivar checks: what only the destination can tell, ``room`` the first;
        fewer where a lease was renewed
    :ivar lease_seconds: room is kept so long; 0 where it was refused
    :ivar bandwidth_mib_s: what its network leaves to the stream, MiB/s; 0
        for all of it
    """

    checks: tuple[events.Check, ...]
    lease_seconds: float = 0.0
    bandwidth_mib_s: float = 0.0


def encode_ask(ask: Ask) -> dict[str, Any]:
    """Return the wish for room as a payload."""
    return schema.wrap(ASK_SCHEMA, ask)


def decode_ask(payload: object) -> Ask:
    """Read the wish for room.

    :raises DocumentError: one line that names the field
    """
    ask = schema.unwrap(ASK_SCHEMA, payload, Ask)
    if not ask.claim.memory_mib > 0 or ask.claim.bandwidth_mib_s < 0:
        raise errors.DocumentError(
            f'{ASK_SCHEMA}: claim asks for '
            f'{ask.claim.memory_mib:g} MiB and '
            f'{ask.claim.bandwidth_mib_s:g} MiB/s, which is no room'
        )
    return ask


def encode_answer(answer: Answer) -> dict[str, Any]:
    """Return the answer of a destination as a payload."""
    return schema.wrap(ANSWER_SCHEMA, answer)


def decode_answer(payload: object) -> Answer:
    """Read the answer of a destination.

    :raises DocumentError: one line that names the field
    """
    return schema.unwrap(ANSWER_SCHEMA, payload, Answer)


def encode_claim(claim: room.Claim) -> dict[str, Any]:
    """Return what was promised, to be kept on the destination's disk."""
    return schema.wrap(CLAIM_SCHEMA, claim)


def decode_claim(payload: object) -> room.Claim:
    """Read what an earlier run promised.

    :raises DocumentError: one line that names the field
    """
    return schema.unwrap(CLAIM_SCHEMA, payload, room.Claim)
