"""One migration, and how it lies in its row of the database."""

import dataclasses

import msgspec

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import owners
from kvm_balancer.model import plan
from kvm_balancer.model import track as tracks
from kvm_balancer.store import tables

#: The command was sent, and nothing was heard of it since.
DISPATCHED = 'dispatched'

#: A story as it is kept, without a line.
NO_STORY = '[]'


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One migration as it is known here.

    :ivar state: ``dispatched``, a state of :mod:`..migration.states`, or
        one of its ends
    :ivar outcome: None while it runs; so are all figures of its end, and the
        reason is empty
    :ivar track: empty while it runs
    :ivar owner: who carries it out, ``balancer`` or ``nova``
    :ivar doubted: it was told that it is unknown, also where it runs on since
    """

    id: str
    plan_id: str | None
    instance: str
    source: str
    destination: str
    state: str
    accepted_at: float
    dispatched_at: float | None
    ended_at: float | None
    outcome: outcomes.OutcomeKind | None
    mode: plan.Mode | None
    reason: str
    total_ms: float | None
    downtime_ms: float | None
    transferred_mib: float | None
    iterations: int | None
    max_throttle_percent: int | None
    copying_ms: float | None
    fixed_ms: float | None
    predicted: plan.Prediction | None
    story: tuple[outcomes.StoryLine, ...]
    track: tracks.Track
    owner: str = owners.Owner.BALANCER
    doubted: bool = False


def dispatched(wanted: request.Request, at: float) -> tables.Migration:
    """Return the row of a migration that was just asked for."""
    row = tables.Migration(
        id=wanted.migration_id,
        plan_id=wanted.plan_id or None,
        instance=wanted.instance,
        source=wanted.source,
        destination=wanted.destination,
        owner=None
        if wanted.owner == owners.Owner.BALANCER
        else str(wanted.owner),
        state=DISPATCHED,
        accepted_at=wanted.accepted_at,
        dispatched_at=at,
        reason='',
        story=_encode_story(
            (outcomes.StoryLine(at, DISPATCHED, 'sent to the executor'),)
        ),
    )
    _fill_prediction(row, wanted.predicted)
    return row


def fill(row: tables.Migration, ended: outcomes.Outcome) -> None:
    """Put into a row how its migration ended.

    Who cannot read what was asked for names less than the row does.
    """
    row.instance = ended.instance or row.instance or ''
    row.source = ended.source
    row.destination = ended.destination or row.destination or ''
    row.state = states.State(ended.outcome.value).value
    row.accepted_at = ended.accepted_at
    row.ended_at = ended.ended_at
    row.outcome = ended.outcome.value
    row.mode = ended.mode.value
    row.reason = ended.reason
    row.total_ms = ended.total_ms
    row.downtime_ms = ended.downtime_ms
    row.transferred_mib = ended.transferred_mib
    row.iterations = ended.iterations
    row.max_throttle_percent = ended.max_throttle_percent
    row.copying_ms = ended.copying_ms
    row.fixed_ms = ended.fixed_ms
    if ended.predicted is not None:
        _fill_prediction(row, ended.predicted)
    if ended.story:
        row.story = _encode_story(ended.story)
    if len(ended.track) or row.track is None:
        row.track = msgspec.json.encode(ended.track).decode()


def stand(row: tables.Migration, state: str, at: float) -> bool:
    """Put into a row where its migration stands.

    What was told when it was unknown is kept as its reason: it may be so once
    more (:func:`.states.stays_unknown`).

    :returns: whether it is unknown and was not, or the other way round
    """
    unknown = outcomes.OutcomeKind.UNKNOWN.value
    if row.outcome not in (None, unknown):
        return False
    was = row.outcome is not None
    now = states.stays_unknown(was, bool(row.reason), state)
    if not (was and now):
        row.state = state
    if now and not was:
        row.outcome, row.ended_at = unknown, at
    elif was and not now:
        row.outcome = row.ended_at = row.mode = None
        row.total_ms = row.downtime_ms = row.transferred_mib = None
        row.iterations = row.max_throttle_percent = None
        row.copying_ms = row.fixed_ms = None
    return was != now


def is_news(row: tables.Migration, ended: outcomes.Outcome) -> bool:
    """Say whether an outcome tells what its row does not.

    The first that is definite is for good; one that is unknown gives way to
    whatever is told later. What is delivered once more has no new line.
    """
    unknown = outcomes.OutcomeKind.UNKNOWN
    if row.outcome not in (None, unknown.value):
        return False
    if row.outcome is None or ended.outcome is not unknown:
        return True
    if (row.ended_at, row.reason) == (ended.ended_at, ended.reason):
        return False
    return not set(ended.story) <= set(_decode_story(row.story))


def with_story_before(
    row: tables.Migration, ended: outcomes.Outcome
) -> outcomes.Outcome:
    """Return an outcome whose story has what was told before as well.

    That it was unknown may have been told by an earlier run of its executor.
    """
    known = set(ended.story)
    before = [one for one in _decode_story(row.story) if one not in known]
    story = sorted((*before, *ended.story), key=lambda line: line.at)
    return dataclasses.replace(ended, story=tuple(story))


def _fill_prediction(
    row: tables.Migration, predicted: plan.Prediction | None
) -> None:
    if predicted is None:
        return
    row.predicted_seconds = predicted.seconds
    row.predicted_downtime_ms = predicted.downtime_ms
    row.predicted_mib = predicted.mib
    row.predicted_mode = predicted.mode.value
    row.predicted_converges = predicted.converges
    row.predicted_throttled = predicted.throttled
    row.predicted_fixed_seconds = predicted.fixed_seconds
    row.predicted_disk_mib = predicted.disk_mib
    row.predicted_disk_seconds = predicted.disk_seconds
    row.predicted_limit_mib_s = predicted.limit_mib_s
    raw = predicted.uncorrected
    seconds = downtime_ms = mib = None
    if raw is not None:
        seconds, downtime_ms = raw.copying_seconds, raw.downtime_ms
        mib = raw.mib
    row.uncorrected_copying_seconds = seconds
    row.uncorrected_downtime_ms = downtime_ms
    row.uncorrected_mib = mib


def record(row: tables.Migration) -> MigrationRecord:
    """Read a row."""
    return MigrationRecord(
        id=row.id,
        plan_id=row.plan_id,
        instance=row.instance,
        source=row.source,
        destination=row.destination,
        state=row.state,
        accepted_at=row.accepted_at,
        dispatched_at=row.dispatched_at,
        ended_at=row.ended_at,
        outcome=outcomes.OutcomeKind(row.outcome) if row.outcome else None,
        mode=plan.Mode(row.mode) if row.mode else None,
        reason=row.reason if row.outcome else '',
        total_ms=row.total_ms,
        downtime_ms=row.downtime_ms,
        transferred_mib=row.transferred_mib,
        iterations=row.iterations,
        max_throttle_percent=row.max_throttle_percent,
        copying_ms=row.copying_ms,
        fixed_ms=row.fixed_ms,
        predicted=_prediction(row),
        story=_decode_story(row.story),
        track=_decode_track(row.track),
        owner=row.owner or owners.Owner.BALANCER,
        # One that runs has a reason only where it was told before.
        doubted=bool(row.reason)
        and row.outcome in (None, outcomes.OutcomeKind.UNKNOWN.value),
    )


def lesson(row: tables.Migration, alone: bool) -> correction.Lesson | None:
    """Return what a completed migration teaches of predictions.

    :param alone: no other used a host of it meanwhile

    Nothing where it is not told what was predicted before it was corrected,
    as of migrations of older releases.
    """
    predicted = _prediction(row)
    if (
        predicted is None
        or row.predicted_fixed_seconds is None
        or row.mode is None
        or row.ended_at is None
    ):
        return None
    return correction.Lesson(
        instance=row.instance,
        ends=(row.source, row.destination),
        mode=plan.Mode(row.mode),
        began_at=row.accepted_at,
        ended_at=row.ended_at,
        predicted=predicted,
        mib=row.transferred_mib or 0.0,
        copying_seconds=_seconds(row.copying_ms),
        fixed_seconds=_seconds(row.fixed_ms),
        downtime_ms=row.downtime_ms,
        alone=alone,
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000.0


def _prediction(row: tables.Migration) -> plan.Prediction | None:
    if (
        row.predicted_seconds is None
        or row.predicted_downtime_ms is None
        or row.predicted_mib is None
        or row.predicted_mode is None
    ):
        return None
    return plan.Prediction(
        seconds=row.predicted_seconds,
        downtime_ms=row.predicted_downtime_ms,
        mib=row.predicted_mib,
        mode=plan.Mode(row.predicted_mode),
        converges=row.predicted_converges,
        throttled=bool(row.predicted_throttled),
        fixed_seconds=row.predicted_fixed_seconds or 0.0,
        uncorrected=_uncorrected(row),
        disk_mib=row.predicted_disk_mib or 0.0,
        disk_seconds=row.predicted_disk_seconds or 0.0,
        limit_mib_s=row.predicted_limit_mib_s or 0.0,
    )


def _uncorrected(row: tables.Migration) -> plan.Uncorrected | None:
    if (
        row.uncorrected_copying_seconds is None
        or row.uncorrected_downtime_ms is None
        or row.uncorrected_mib is None
    ):
        return None
    return plan.Uncorrected(
        copying_seconds=row.uncorrected_copying_seconds,
        downtime_ms=row.uncorrected_downtime_ms,
        mib=row.uncorrected_mib,
    )


def longer_story(story: str, line: outcomes.StoryLine) -> str:
    """Return a story as it is kept, with one more line."""
    return _encode_story((*_decode_story(story), line))


def _encode_story(story: tuple[outcomes.StoryLine, ...]) -> str:
    return msgspec.json.encode(story).decode()


def _decode_story(text: str) -> tuple[outcomes.StoryLine, ...]:
    return msgspec.json.decode(text, type=tuple[outcomes.StoryLine, ...])


def _decode_track(text: str | None) -> tracks.Track:
    if text is None:
        return tracks.Track()
    return msgspec.json.decode(text, type=tracks.Track)
