"""Commands, progress and outcomes of migrations on the wire.

Payloads are dicts of plain types, as RPC and notifications carry them.
"""

import dataclasses
from typing import Any

from kvm_balancer import errors
from kvm_balancer.messages import schema
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome

REQUEST_SCHEMA = 'kvm-balancer/migration-request/1'
CANCEL_SCHEMA = 'kvm-balancer/migration-cancel/1'
SETTLE_SCHEMA = 'kvm-balancer/migration-settle/1'
PROGRESS_SCHEMA = 'kvm-balancer/migration-progress/1'
OUTCOME_SCHEMA = 'kvm-balancer/migration-outcome/1'


@dataclasses.dataclass(frozen=True, slots=True)
class Cancel:
    """The wish that a migration ends.

    :ivar reason: who wants it, and why
    """

    migration_id: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Settle:
    """A person's word on how a migration ended that is unknown.

    :ivar completed: else it failed
    :ivar reason: who says so, and why
    """

    migration_id: str
    completed: bool
    reason: str

    @property
    def outcome(self) -> outcome.OutcomeKind:
        """How it ended, by that word."""
        kinds = outcome.OutcomeKind
        return kinds.COMPLETED if self.completed else kinds.FAILED


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a migration is.

    :ivar at: seconds since the epoch
    :ivar text: one line for whoever watches
    :ivar decision: and what follows, as in
        :class:`..migration.instructions.ReportProgress`
    """

    migration_id: str
    instance: str
    source: str
    destination: str
    at: float
    state: states.State
    statistics: events.Statistics
    text: str = ''
    decision: instructions.Decided | None = None
    decisions: int = 0
    remaining_seconds: float | None = None
    expected_downtime_ms: float | None = None
    downtime_limit_ms: int = 0


def progress(
    wanted: request.Request, report: instructions.ReportProgress, at: float
) -> Progress:
    """Say of a migration what its machine reports.

    :param at: seconds since the epoch
    """
    return Progress(
        migration_id=wanted.migration_id,
        instance=wanted.instance,
        source=wanted.source,
        destination=wanted.destination,
        at=at,
        state=states.State(report.state),
        statistics=report.statistics,
        text=report.text,
        decision=report.decision,
        decisions=report.decisions,
        remaining_seconds=report.remaining_seconds,
        expected_downtime_ms=report.expected_downtime_ms,
        downtime_limit_ms=report.downtime_limit_ms,
    )


def encode_request(wanted: request.Request) -> dict[str, Any]:
    """Return the command to carry a migration out as a payload."""
    return schema.wrap(REQUEST_SCHEMA, wanted)


def decode_request(payload: object) -> request.Request:
    """Read a command.

    :raises DocumentError: one line that names the field
    """
    wanted = schema.unwrap(REQUEST_SCHEMA, payload, request.Request)
    schema.check_named(
        REQUEST_SCHEMA,
        migration_id=wanted.migration_id,
        instance=wanted.instance,
        source=wanted.source,
        destination=wanted.destination,
    )
    return wanted


def encode_cancel(wish: Cancel) -> dict[str, Any]:
    """Return the wish that a migration ends as a payload."""
    return schema.wrap(CANCEL_SCHEMA, wish)


def decode_cancel(payload: object) -> Cancel:
    """Read the wish that a migration ends.

    :raises DocumentError: one line that names the field
    """
    wish = schema.unwrap(CANCEL_SCHEMA, payload, Cancel)
    schema.check_named(CANCEL_SCHEMA, migration_id=wish.migration_id)
    return wish


def encode_settle(wish: Settle) -> dict[str, Any]:
    """Return a person's word on a migration as a payload."""
    return schema.wrap(SETTLE_SCHEMA, wish)


def decode_settle(payload: object) -> Settle:
    """Read a person's word on a migration.

    :raises DocumentError: one line that names the field
    """
    wish = schema.unwrap(SETTLE_SCHEMA, payload, Settle)
    schema.check_named(SETTLE_SCHEMA, migration_id=wish.migration_id)
    return wish


def decode_id(migration_id: object) -> str:
    """Read the id of the migration that a question is about.

    :raises DocumentError: one line, when it is none
    """
    if not isinstance(migration_id, str) or not migration_id.strip():
        raise errors.DocumentError(
            f'{schema.brief(migration_id)} is not the id of a migration'
        )
    return migration_id


def encode_progress(progress: Progress) -> dict[str, Any]:
    """Return the progress of a migration as a payload."""
    return schema.wrap(PROGRESS_SCHEMA, progress)


def decode_progress(payload: object) -> Progress:
    """Read the progress of a migration.

    :raises DocumentError: one line that names the field
    """
    return schema.unwrap(PROGRESS_SCHEMA, payload, Progress)


def encode_outcome(ended: outcome.Outcome) -> dict[str, Any]:
    """Return the outcome of a migration as a payload."""
    return schema.wrap(OUTCOME_SCHEMA, ended)


def decode_outcome(payload: object) -> outcome.Outcome:
    """Read the outcome of a migration.

    :raises DocumentError: one line that names the field
    """
    return schema.unwrap(OUTCOME_SCHEMA, payload, outcome.Outcome)
