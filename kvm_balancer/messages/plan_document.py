"""The public plan document, ``kvm-balancer/plan/1``, to and from the model."""

import dataclasses
from typing import Any

import msgspec

from kvm_balancer import errors
from kvm_balancer.model import plan

SCHEMA = 'kvm-balancer/plan/1'
#: digits after the point of times and sizes, and of loads
_COARSE, _FINE = 3, 6


class _Move(msgspec.Struct, frozen=True):
    instance: str
    source: str
    destination: str
    after: tuple[int, ...] = ()
    predicted_seconds: float = 0.0
    predicted_downtime_ms: float = 0.0
    predicted_mib: float = 0.0
    convergence: plan.Mode = plan.Mode.PRE_COPY
    converges: bool | None = None
    throttled: bool = False
    predicted_fixed_seconds: float = 0.0
    predicted_disk_mib: float = 0.0
    predicted_disk_seconds: float = 0.0
    predicted_limit_mib_s: float = 0.0
    uncorrected: plan.Uncorrected | None = None
    reason: str = ''
    profile: plan.Profile = plan.Profile.BALANCE
    load_gap: float | None = None
    cause: plan.Cause | None = None
    wished: bool = False


class _Loads(msgspec.Struct, frozen=True):
    cpu_stddev: float
    cpu_max: float
    memory_stddev: float
    memory_max: float


class _Bound(msgspec.Struct, frozen=True, omit_defaults=True):
    cpu_max: float | None = None
    cpu_stddev: float | None = None
    moves: int | None = None
    makespan_seconds: float | None = None


class _Point(msgspec.Struct, frozen=True):
    """What the first moves are worth.

    :ivar left: what they leave of the purposes, by policy
    :ivar gained: what share of each they have reached, 0 to 1; only written
    """

    moves: int
    cpu_stddev: float
    mib: float
    left: dict[str, float] = {}
    gained: dict[str, float | None] = {}


class _Unplaced(msgspec.Struct, frozen=True):
    instance: str
    reason: str


class _StillHot(msgspec.Struct, frozen=True):
    host: str
    load: float
    reason: str
    reading: plan.Reading = plan.Reading.CPU


class _Document(msgspec.Struct, frozen=True):
    schema: str
    policy: str
    summary: str
    moves: tuple[_Move, ...]
    before: _Loads
    after: _Loads
    bound: _Bound
    makespan_seconds: float
    purposes: tuple[plan.Purpose, ...] = ()
    frontier: tuple[_Point, ...] = ()
    unplaced: tuple[_Unplaced, ...] = ()
    still_hot: tuple[_StillHot, ...] = ()
    warnings: tuple[str, ...] = ()


class _Incoming(_Document, frozen=True, kw_only=True):
    """What is read may lack what this version adds."""

    summary: str = ''
    bound: _Bound = _Bound()
    makespan_seconds: float = 0.0


def encode(made: plan.Plan) -> bytes:
    """Return *made* as one JSON document, without a newline."""
    return msgspec.json.encode(_document(made))


def to_builtins(made: plan.Plan) -> dict[str, Any]:
    """Return *made* as the dictionary that its document decodes to."""
    found: dict[str, Any] = msgspec.json.decode(encode(made))
    return found


def decode(document: bytes | str) -> plan.Plan:
    """Read a plan document.

    :raises DocumentError: naming the record and the field that is wrong
    """
    try:
        found = msgspec.json.decode(document, type=_Incoming)
    except (msgspec.MsgspecError, ValueError) as error:
        raise errors.DocumentError(f'not a plan document: {error}') from error
    return _plan(found)


def from_builtins(document: object) -> plan.Plan:
    """Read a plan from the dictionary that :func:`to_builtins` made.

    :raises DocumentError: naming the record and the field that is wrong
    """
    try:
        return _plan(msgspec.convert(document, type=_Incoming))
    except msgspec.ValidationError as error:
        raise errors.DocumentError(f'not a plan document: {error}') from error


def _document(made: plan.Plan) -> _Document:
    purposes = tuple(_purpose(one) for one in made.purposes)
    return _Document(
        schema=SCHEMA,
        policy=made.policy,
        summary=made.summary,
        moves=tuple(_move(one) for one in made.moves),
        before=_loads(made.before),
        after=_loads(made.after),
        bound=_Bound(
            cpu_max=_rounded(made.bound.cpu_max),
            cpu_stddev=_rounded(made.bound.cpu_stddev),
            moves=made.bound.moves,
            makespan_seconds=_rounded(made.bound.makespan_seconds, _COARSE),
        ),
        makespan_seconds=round(made.makespan_seconds, _COARSE),
        purposes=purposes,
        frontier=tuple(_point(one, purposes) for one in made.frontier),
        unplaced=tuple(
            _Unplaced(one.instance, one.reason) for one in made.unplaced
        ),
        still_hot=tuple(
            _StillHot(
                one.host, round(one.load, _FINE), one.reason, one.reading
            )
            for one in made.still_hot
        ),
        warnings=made.warnings,
    )


def _move(one: plan.Move) -> _Move:
    expected = one.prediction
    return _Move(
        instance=one.instance,
        source=one.source,
        destination=one.destination,
        after=one.after,
        predicted_seconds=round(expected.total_seconds, _COARSE),
        predicted_downtime_ms=round(expected.downtime_ms, _COARSE),
        predicted_mib=round(expected.total_mib, _COARSE),
        convergence=expected.mode,
        converges=expected.converges,
        throttled=expected.throttled,
        predicted_fixed_seconds=round(expected.fixed_seconds, _COARSE),
        predicted_disk_mib=round(expected.disk_mib, _COARSE),
        predicted_disk_seconds=round(expected.disk_seconds, _COARSE),
        predicted_limit_mib_s=expected.limit_mib_s,
        uncorrected=_uncorrected(expected.uncorrected),
        reason=one.reason,
        profile=one.profile,
        load_gap=_rounded(one.load_gap),
        cause=one.cause,
        wished=one.wished,
    )


def _purpose(one: plan.Purpose) -> plan.Purpose:
    before, after = round(one.before, _FINE), round(one.after, _FINE)
    return dataclasses.replace(one, before=before, after=after)


def _point(
    one: plan.FrontierPoint, purposes: tuple[plan.Purpose, ...]
) -> _Point:
    left = (round(amount, _FINE) for amount in one.left)
    each = tuple(zip(purposes, left, strict=True))
    return _Point(
        moves=one.moves,
        cpu_stddev=round(one.cpu_stddev, _FINE),
        mib=round(one.mib, _COARSE),
        left={what.policy: amount for what, amount in each},
        gained={
            what.policy: _rounded(what.gained(amount)) for what, amount in each
        },
    )


def _uncorrected(one: plan.Uncorrected | None) -> plan.Uncorrected | None:
    if one is None:
        return None
    return plan.Uncorrected(
        *(round(value, _COARSE) for value in dataclasses.astuple(one))
    )


def _loads(summary: plan.LoadSummary) -> _Loads:
    return _Loads(
        cpu_stddev=round(summary.cpu_stddev, _FINE),
        cpu_max=round(summary.cpu_max, _FINE),
        memory_stddev=round(summary.memory_stddev, _FINE),
        memory_max=round(summary.memory_max, _FINE),
    )


def _rounded(value: float | None, digits: int = _FINE) -> float | None:
    return None if value is None else round(value, digits)


def _prediction(one: _Move) -> plan.Prediction:
    return plan.Prediction(
        seconds=max(0.0, one.predicted_seconds - one.predicted_disk_seconds),
        downtime_ms=one.predicted_downtime_ms,
        mib=max(0.0, one.predicted_mib - one.predicted_disk_mib),
        mode=one.convergence,
        converges=one.converges,
        throttled=one.throttled,
        fixed_seconds=one.predicted_fixed_seconds,
        uncorrected=one.uncorrected,
        disk_mib=one.predicted_disk_mib,
        disk_seconds=one.predicted_disk_seconds,
        limit_mib_s=one.predicted_limit_mib_s,
    )


def _frontier(found: _Incoming) -> tuple[plan.FrontierPoint, ...]:
    names = [one.policy for one in found.purposes]
    for index, one in enumerate(found.frontier):
        if one.left.keys() != set(names):
            raise errors.DocumentError(
                f'frontier[{index}].left: says something of '
                f'{sorted(one.left)}, expected {sorted(names)} as in purposes'
            )
    return tuple(
        plan.FrontierPoint(
            one.moves,
            one.cpu_stddev,
            one.mib,
            tuple(one.left[name] for name in names),
        )
        for one in found.frontier
    )


def _plan(found: _Incoming) -> plan.Plan:
    if found.schema != SCHEMA:
        raise errors.DocumentError(
            f'not a plan document: schema is {found.schema!r}, '
            f'expected {SCHEMA!r}'
        )
    for index, one in enumerate(found.moves):
        if any(not 0 <= before < index for before in one.after):
            raise errors.DocumentError(
                f'moves[{index}].after: {list(one.after)} names moves that '
                f'are not before it'
            )
    return plan.Plan(
        policy=found.policy,
        moves=tuple(
            plan.Move(
                instance=one.instance,
                source=one.source,
                destination=one.destination,
                prediction=_prediction(one),
                reason=one.reason,
                after=one.after,
                profile=one.profile,
                load_gap=one.load_gap,
                cause=one.cause,
                wished=one.wished,
            )
            for one in found.moves
        ),
        before=plan.LoadSummary(*msgspec.structs.astuple(found.before)),
        after=plan.LoadSummary(*msgspec.structs.astuple(found.after)),
        bound=plan.Bound(*msgspec.structs.astuple(found.bound)),
        makespan_seconds=found.makespan_seconds,
        purposes=found.purposes,
        frontier=_frontier(found),
        unplaced=tuple(
            plan.Unplaced(one.instance, one.reason) for one in found.unplaced
        ),
        still_hot=tuple(
            plan.StillHot(one.host, one.load, one.reason, one.reading)
            for one in found.still_hot
        ),
        summary=found.summary,
        warnings=found.warnings,
    )
