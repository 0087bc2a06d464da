"""What a migration will take, from what is known before it starts.

V is the memory in use, B the bandwidth, D the dirty rate, W the writable
working set, S = B x the downtime that is allowed, and the ratio q = D / B.
The first pass carries V; while a pass carries R, min(q x R, W) is dirtied
and left to the next one, so pass i + 1 carries q**i x R1 with
R1 = min(q x V, W), until what is left fits S. It converges when q < 1 or
W <= S. Post-copy after one pass carries V x (1 + min(q, W / V)) in all.
A throttle of t makes q smaller by (1 - t).

Columns in, columns out: a plan predicts a fleet's instances in one call.
"""

import dataclasses

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration import request
from kvm_balancer.model import plan

Column = npt.NDArray[np.float64]

#: Post-copy is used, where it is allowed, when pre-copy would take more than
#: this many times as long: pre-copy can be broken off, post-copy cannot.
PATIENCE = 2.0
#: Stopping, the state of the devices and starting: what a switch takes on
#: QEMU when no memory is left.
SWITCH_MS = 20.0
#: Auto-converge aims at this ratio: what is left then falls fast enough.
#: QEMU raises the throttle no more when a pass leaves half of the last one.
THROTTLED_RATIO = 0.5
FIRST_THROTTLE = 0.20
THROTTLE_STEP = 0.10
#: Passes that each step of the throttle takes.
PASSES_PER_STEP = 2.0
#: Full passes over the working set before a stalled copy is given up.
STALLED_PASSES = 4.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Predictions of many migrations, one row each.

    :ivar seconds: total time; until it is given up where it does not
        converge; infinite without bandwidth
    :ivar downtime_ms: time in which the guest does not run; 0 where it is
        given up
    :ivar mib: what goes over the network
    :ivar post_copy: True where it will end by post-copy
    :ivar converges: False where it will be given up
    """

    seconds: Column
    downtime_ms: Column
    mib: Column
    post_copy: npt.NDArray[np.bool_]
    converges: npt.NDArray[np.bool_]


def predict(
    memory_in_use_mib: float,
    dirty_rate_mib_s: float,
    bandwidth_mib_s: float,
    working_set_mib: float | None,
    options: request.Options,
) -> plan.Prediction:
    """Predict one migration.

    :param working_set_mib: None where it is not known: all memory in use
    """
    columns = predict_columns(
        np.array([memory_in_use_mib], dtype=np.float64),
        np.array([dirty_rate_mib_s], dtype=np.float64),
        np.array([bandwidth_mib_s], dtype=np.float64),
        None
        if working_set_mib is None
        else np.array([working_set_mib], dtype=np.float64),
        options,
    )
    return plan.Prediction(
        seconds=float(columns.seconds[0]),
        downtime_ms=float(columns.downtime_ms[0]),
        mib=float(columns.mib[0]),
        mode=(
            plan.Mode.POST_COPY if columns.post_copy[0] else plan.Mode.PRE_COPY
        ),
    )


def predict_columns(
    memory_in_use_mib: Column,
    dirty_rate_mib_s: Column,
    bandwidth_mib_s: Column,
    working_set_mib: Column | None,
    options: request.Options,
) -> Columns:
    """Predict many migrations at once, all with the same options.

    :param memory_in_use_mib: shape (n,)
    :param dirty_rate_mib_s: shape (n,) or a scalar's
    :param bandwidth_mib_s: what is free between the two hosts, shape (n,)
    :param working_set_mib: shape (n,), or None where it is not known
    :returns: columns of shape (n,)
    """
    memory = np.maximum(memory_in_use_mib, 0.0)
    bandwidth = np.maximum(bandwidth_mib_s, 0.0)
    if options.bandwidth_mib_s > 0:
        bandwidth = np.minimum(bandwidth, options.bandwidth_mib_s)
    dirty = np.maximum(dirty_rate_mib_s, 0.0)
    memory, bandwidth, dirty = np.broadcast_arrays(memory, bandwidth, dirty)
    working = (
        memory
        if working_set_mib is None
        else np.clip(working_set_mib, 0.0, memory)
    )
    fits = bandwidth * options.max_downtime_ms / 1000.0
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        ratio = np.where(bandwidth > 0, dirty / bandwidth, np.inf)
        again = np.minimum(np.where(ratio > 0, ratio * memory, 0.0), working)
        carried, stopped = _pre_copy(memory, again, ratio, fits)
        if options.auto_converge:
            throttled = _throttled(memory, again, ratio, fits, options)
            plain = np.isfinite(carried)
            carried = np.where(plain, carried, throttled[0])
            stopped = np.where(plain, stopped, throttled[1])
        return _choose(
            memory, again, bandwidth, carried, stopped, options.post_copy
        )


def _pre_copy(
    memory: Column, again: Column, ratio: Column, fits: Column
) -> tuple[Column, Column]:
    """Return what pre-copy carries in all, and what of it at the switch.

    :param again: what is left after the first pass
    :returns: MiB; infinite where it does not converge
    """
    falls = (ratio > 0.0) & (ratio < 1.0) & (fits > 0.0)
    safe = np.where(falls, ratio, 0.5)
    left = np.maximum(again, np.finfo(np.float64).tiny)
    passes = np.where(
        again > fits, np.ceil(np.log(fits / left) / np.log(safe)), 0.0
    )
    passes = np.where(falls, np.maximum(passes, 0.0), 0.0)
    stopped = again * safe**passes
    between = again * (1.0 - safe**passes) / (1.0 - safe)
    converges = falls | (again <= fits)
    carried = np.where(converges, memory + between + stopped, np.inf)
    return carried, np.where(converges, stopped, np.inf)


def _throttled(
    memory: Column,
    again: Column,
    ratio: Column,
    fits: Column,
    options: request.Options,
) -> tuple[Column, Column]:
    """Return the same under auto-converge.

    The throttle rises by steps while the working set is sent over and over.
    """
    first = (options.auto_converge_initial_percent / 100.0) or FIRST_THROTTLE
    step = (options.auto_converge_increment_percent / 100.0) or THROTTLE_STEP
    allowed = options.max_throttle_percent / 100.0
    needed = 1.0 - THROTTLED_RATIO / np.maximum(ratio, THROTTLED_RATIO)
    steps = 1.0 + np.maximum(0.0, np.ceil((needed - first) / step))
    throttle = np.minimum(first + (steps - 1.0) * step, allowed)
    steps = np.minimum(
        steps, 1.0 + max(0.0, np.ceil((allowed - first) / step))
    )
    carried, stopped = _pre_copy(memory, again, ratio * (1.0 - throttle), fits)
    waited = steps * PASSES_PER_STEP * again
    if allowed <= 0.0:
        carried = np.full_like(carried, np.inf)
    return carried + waited, stopped


def _choose(
    memory: Column,
    again: Column,
    bandwidth: Column,
    carried: Column,
    stopped: Column,
    post_copy_allowed: bool,
) -> Columns:
    """Take pre-copy, post-copy or neither for each row."""
    hybrid = memory + again
    post_copy = np.zeros(memory.shape, dtype=np.bool_)
    if post_copy_allowed:
        # without bandwidth nothing goes, in either mode
        post_copy = (carried > PATIENCE * hybrid) & (bandwidth > 0)
    converges = (post_copy | np.isfinite(carried)) & (bandwidth > 0)
    mib = np.where(post_copy, hybrid, carried)
    mib = np.where(converges, mib, memory + STALLED_PASSES * again)
    mib = np.where(bandwidth > 0, mib, 0.0)
    seconds = np.where(bandwidth > 0, mib / bandwidth, np.inf)
    pause_ms = np.where(post_copy, 0.0, stopped / bandwidth * 1000.0)
    downtime = np.where(converges, pause_ms + SWITCH_MS, 0.0)
    return Columns(seconds, downtime, mib, post_copy, converges)
