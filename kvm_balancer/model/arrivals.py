"""Whether the time of a sample has come: order, age and clocks of hosts.

Knows the last sample of each host and nothing else of it.
"""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.model import refusal
from kvm_balancer.model import sample


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How far the time of a sample may be from now.

    :ivar stale_seconds: age from which it is refused, and from which its
        host is silent
    :ivar future_seconds: how far a host's clock may be ahead
    """

    stale_seconds: float
    future_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """The last sample of a host that was accepted.

    :ivar seen_at: when it was, by our clock and never later than it
        arrived; seconds since the epoch
    """

    boot: str
    sequence: int
    taken_at: float
    seen_at: float


def accepted(
    reading: sample.Sample, last: Arrival | None, limits: Limits, now: float
) -> Arrival:
    """Return the arrival of *reading*, or refuse it.

    A new run of an executor begins its sequence anew. Once a host is silent
    its last sample binds it no more, so that a clock that was set back
    costs no more than that silence.

    :raises SampleRefused: with its cause
    """
    ahead = reading.taken_at - now
    if ahead > limits.future_seconds:
        raise _refused(
            refusal.Cause.FUTURE,
            reading,
            f'taken {ahead:.1f} s from now: its clock is ahead',
        )
    if -ahead > limits.stale_seconds:
        raise _refused(
            refusal.Cause.STALE,
            reading,
            f'taken {-ahead:.1f} s ago: late on its way, or its clock is '
            'behind',
        )
    if last is not None and now - last.seen_at <= limits.stale_seconds:
        _check_order(reading, last)
    return Arrival(
        reading.boot,
        reading.sequence,
        reading.taken_at,
        min(reading.taken_at, now),
    )


def _check_order(reading: sample.Sample, last: Arrival) -> None:
    same_run = reading.boot == last.boot
    if same_run and reading.sequence <= last.sequence:
        raise _refused(
            refusal.Cause.REPLAYED,
            reading,
            f'sequence {reading.sequence} after {last.sequence}: it came '
            'twice, or late',
        )
    if reading.taken_at <= last.taken_at:
        behind = last.taken_at - reading.taken_at
        raise _refused(
            refusal.Cause.OLDER,
            reading,
            f'taken {behind:.1f} s before the last: it came late, or the '
            'clock was set back',
        )


def _refused(
    cause: refusal.Cause, reading: sample.Sample, text: str
) -> errors.SampleRefused:
    return errors.SampleRefused(
        cause, f'sample of {reading.host!r}: taken_at: {text}'
    )
