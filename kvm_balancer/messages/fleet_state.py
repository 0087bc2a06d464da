"""The state of the fleet for those who place instances: schedulers of Nova.

A small document, sent to everyone who listens. The next one replaces it, and
one that is old is as good as none.
"""

import dataclasses
from typing import Final

import msgspec

from kvm_balancer import errors

SCHEMA: Final = 'kvm-balancer/fleet-state/1'


@dataclasses.dataclass(frozen=True, slots=True)
class HostState:
    """One host.

    :ivar cpu_load: measured, 1.0 being all of its cores
    :ivar arriving_load: what is planned or on its way there, likewise
    :ivar closed: why it is to get no new instances; empty where it may
    :ivar gives_way: it gets them all the same where no other host would do
    :ivar vcpus: of the servers that Nova has there, those whose load is known
        and counted in; None where nobody knows
    :ivar vcpu_load: what one vCPU more is expected to add to its load
    """

    cpu_load: float
    arriving_load: float = 0.0
    closed: str = ''
    gives_way: bool = False
    vcpus: int | None = None
    vcpu_load: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class FleetState:
    """All hosts that are known, by name.

    :ivar taken_at: seconds since the epoch, on the agent's clock
    """

    taken_at: float
    hosts: dict[str, HostState]


class _Document(msgspec.Struct, frozen=True):
    schema: str
    state: FleetState


def encode(state: FleetState) -> bytes:
    """Return *state* as JSON."""
    return msgspec.json.encode(_Document(SCHEMA, state))


def decode(body: bytes) -> FleetState:
    """Read a state.

    :raises DocumentError: one line, when it is none
    """
    try:
        found = msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise errors.DocumentError(f'no fleet state: {error}') from error
    if found.schema != SCHEMA:
        raise errors.DocumentError(
            f'schema: is {found.schema!r}, must be {SCHEMA!r}'
        )
    return found.state
