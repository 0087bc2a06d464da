"""What a migration will take, from what is known before it starts.

V is the memory in use, B the bandwidth, d the dirty rate, h the hot set, c
the cold rate (:mod:`.dirtying` says how a guest writes, :mod:`.passes` what
pre-copy makes of that). Post-copy after one pass carries V and what got
dirty during that pass, U(V / B), which is at most min(d V / B, V); it is
chosen where it is allowed and pre-copy would clearly take longer than is
granted: pre-copy can be broken off, post-copy cannot. Nothing takes less
than V / B.

A limit in time ends pre-copy, by post-copy where that is allowed and one pass
is over; without one, what is granted is a matter of the profile.

Columns in, columns out: a plan predicts a fleet's instances in one call.
"""

import collections.abc
import dataclasses

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.foresight import dirtying
from kvm_balancer.migration.foresight import passes
from kvm_balancer.migration.foresight import steps
from kvm_balancer.model import plan

Column = npt.NDArray[np.float64]
Rows = collections.abc.Iterator[plan.Prediction]

#: Checks, the destination's QEMU and the beginning of the stream before the
#: first byte; the end of the job, and a look at both ends after the last
#: (seen with libvirt 9.0 and QEMU 7.2 on small hosts: 0.5 to 1 s, 1.4 to
#: 2 s). Hosts differ, and past migrations tell how: :mod:`.correction`.
SETUP_SECONDS = 0.55
FINISH_SECONDS = 1.7
FIXED_SECONDS = SETUP_SECONDS + FINISH_SECONDS
#: Pre-copy that would take up to so many times what is granted may as well
#: keep to it: whether a guest sweeps its hot set or hits it at random is not
#: known, and makes as much of a difference.
NEARLY = 1.05
#: MiB/s.
_NO_BANDWIDTH = 1e-6
_MIB_PER_GIB = 1024.0


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
    :ivar throttled: True where the guest will be slowed down
    :ivar limit_mib_s: of the bandwidth, by the options of all; 0 for none
    """

    seconds: Column
    downtime_ms: Column
    mib: Column
    post_copy: npt.NDArray[np.bool_]
    converges: npt.NDArray[np.bool_]
    throttled: npt.NDArray[np.bool_]
    limit_mib_s: float = 0.0

    def rows(self) -> collections.abc.Iterator[plan.Prediction]:
        """Yield them one by one."""
        for seconds, downtime_ms, mib, post_copy, converges, throttled in zip(
            self.seconds.tolist(),
            self.downtime_ms.tolist(),
            self.mib.tolist(),
            self.post_copy.tolist(),
            self.converges.tolist(),
            self.throttled.tolist(),
            strict=True,
        ):
            yield plan.Prediction(
                seconds,
                downtime_ms,
                mib,
                plan.Mode.POST_COPY if post_copy else plan.Mode.PRE_COPY,
                converges,
                throttled,
                FIXED_SECONDS,
                limit_mib_s=self.limit_mib_s,
            )


def predict(
    memory_in_use_mib: float,
    dirty_rate_mib_s: float,
    bandwidth_mib_s: float,
    hot_set_mib: float | None,
    options: request.Options,
    cold_rate_mib_s: float = 0.0,
    cpu_cores: float = 0.0,
    manner: manners.Manner = manners.ADAPTIVE,
) -> plan.Prediction:
    """Predict one migration.

    :param hot_set_mib: None where it is not known: all memory in use
    :param cpu_cores: that the guest uses; 0 where it is not known
    """

    def rows(granted: request.Options) -> Rows:
        return predict_columns(
            np.array([memory_in_use_mib], dtype=np.float64),
            np.array([dirty_rate_mib_s], dtype=np.float64),
            np.array([bandwidth_mib_s], dtype=np.float64),
            None
            if hot_set_mib is None
            else np.array([hot_set_mib], dtype=np.float64),
            granted,
            np.array([cold_rate_mib_s], dtype=np.float64),
            np.array([cpu_cores], dtype=np.float64),
            manner,
        ).rows()

    (found,) = either_way(rows, options)
    return found


def either_way(
    rows: collections.abc.Callable[[request.Options], Rows],
    options: request.Options,
) -> list[plan.Prediction]:
    """Predict also what becomes of those that post-copy cannot be had for.

    Whether it can is known only once both hosts have been looked at.

    :param rows: predicts by the options that it is given
    """
    found = [*rows(options)]
    if not any(one.mode is plan.Mode.POST_COPY for one in found):
        return found
    without = rows(dataclasses.replace(options, post_copy=False))
    return [
        dataclasses.replace(one, without_post_copy=other)
        if one.mode is plan.Mode.POST_COPY
        else one
        for one, other in zip(found, without, strict=True)
    ]


def predict_columns(
    memory_in_use_mib: Column,
    dirty_rate_mib_s: Column,
    bandwidth_mib_s: Column,
    hot_set_mib: Column | None,
    options: request.Options,
    cold_rate_mib_s: Column | None = None,
    cpu_cores: Column | None = None,
    manner: manners.Manner = manners.ADAPTIVE,
) -> Columns:
    """Predict many migrations at once, all with the same options.

    :param memory_in_use_mib: shape (n,)
    :param dirty_rate_mib_s: at which clean pages get dirty, shape (n,)
    :param bandwidth_mib_s: what is free between the two hosts, of memory and
        not of frames, shape (n,)
    :param hot_set_mib: shape (n,), 0 where it is not known, None for all;
        then all memory in use is hot
    :param cold_rate_mib_s: what of the dirty rate does not go to the hot
        set, shape (n,)
    :param cpu_cores: that the guests use, shape (n,), 0 where it is not
        known; who uses few goes on writing under a throttle
    :param manner: of the policy that decides on their convergence
    :returns: columns of shape (n,)
    """
    options = manner.settle(options)
    # a denormal bandwidth is none: times would overflow
    link = np.where(bandwidth_mib_s > _NO_BANDWIDTH, bandwidth_mib_s, 0.0)
    bandwidth = link
    if options.bandwidth_mib_s > 0:
        bandwidth = np.minimum(bandwidth, options.bandwidth_mib_s)
    guests = dirtying.Dirtying.of(
        memory_in_use_mib,
        dirty_rate_mib_s,
        hot_set_mib,
        cold_rate_mib_s,
        cpu_cores,
    )
    gib = np.maximum(memory_in_use_mib / _MIB_PER_GIB, manner.least_gib)
    limit = _limit_seconds(manner, options, gib)
    limited = np.isfinite(limit)
    in_time = bandwidth * np.maximum(
        np.where(limited, limit, 0.0) - SETUP_SECONDS, 0.0
    )
    least = patience.least_seconds(options) * bandwidth
    budget = np.maximum(
        patience.PATIENCE[options.profile].budget * memory_in_use_mib,
        least + patience.SHOWN_PASSES * memory_in_use_mib,
    )
    stepping = manner.step_seconds_per_gib * manner.downtime_steps * gib
    # who has no limit and decides by the clock goes on through all its steps
    budget = np.maximum(budget, stepping * bandwidth)
    copied = steps.copy(
        guests,
        bandwidth,
        options,
        np.maximum(budget, in_time),
        manner,
        gib,
    )
    in_time = np.where(limited, in_time, np.inf)
    if manner.by_clock:
        budget = np.where(limited, in_time, budget)
    return _choose(
        guests, bandwidth, link, copied, in_time, budget, options, manner
    )


def _choose(
    guests: dirtying.Dirtying,
    bandwidth: Column,
    link: Column,
    copied: passes.Copies,
    in_time: Column,
    budget: Column,
    options: request.Options,
    manner: manners.Manner,
) -> Columns:
    """Take pre-copy, post-copy or neither for each row.

    :param link: carries what is left while the guest stands still: QEMU
        lifts the limit of the bandwidth then
    :param in_time: what is carried until the time is up
    :param budget: what is carried by who decides by the clock, and does not
        converge
    """
    some = bandwidth > 0.0
    pace = np.where(some, bandwidth, 1.0)
    memory = guests.memory_mib
    again = guests.dirtied_mib(memory / pace)
    # without bandwidth nothing goes, in either mode
    stands = some & np.isfinite(copied.carried_mib)
    stands &= copied.carried_mib <= in_time + np.where(
        stands, copied.stopped_mib, 0.0
    )
    post_copy, hybrid = _hybrid(
        memory, again, bandwidth, copied, in_time, options, manner.by_clock
    )
    post_copy &= some
    converges = post_copy | stands
    tried = memory + (patience.PATIENCE[options.profile].passes + 1.0) * again
    if manner.by_clock:
        tried = budget
    mib = np.where(post_copy, hybrid, copied.carried_mib)
    mib = np.where(converges, mib, np.minimum(tried, in_time))
    mib = np.where(some, mib, 0.0)
    seconds = np.where(some, mib / pace + FIXED_SECONDS, np.inf)
    pause_ms = np.where(
        converges & ~post_copy,
        copied.stopped_mib / np.where(some, link, 1.0) * 1000.0,
        0.0,
    )
    downtime = np.where(converges, pause_ms + qemu.SWITCH_MS, 0.0)
    throttled = copied.throttled & converges & ~post_copy
    return Columns(
        seconds,
        downtime,
        mib,
        post_copy,
        converges,
        throttled,
        float(options.bandwidth_mib_s),
    )


def _hybrid(
    memory: Column,
    again: Column,
    bandwidth: Column,
    copied: passes.Copies,
    in_time: Column,
    options: request.Options,
    by_clock: bool,
) -> tuple[npt.NDArray[np.bool_], Column]:
    """Say who ends by post-copy, and what that carries.

    After one pass where pre-copy would take more than it is granted, else, or
    by the clock, when the time is up; never before a pass is over.

    :param again: what gets dirty during the first pass
    :param in_time: what is carried until the time is up
    """
    hybrid = memory + again
    if not options.post_copy:
        return np.zeros(memory.shape, dtype=np.bool_), hybrid
    carried = copied.carried_mib
    granted = np.maximum(
        options.post_copy_patience * hybrid * NEARLY,
        memory + patience.WORTH_SECONDS * bandwidth,
    )
    due = (carried > granted) & (not by_clock)
    stopped = np.where(np.isfinite(carried), copied.stopped_mib, 0.0)
    late = carried - stopped > in_time
    # the last passes leave no more than the first one
    at_last = np.minimum(carried, in_time + again)
    mib = np.where(late & ~due, at_last, hybrid)
    return (due | late) & (memory <= in_time), mib


def _limit_seconds(
    manner: manners.Manner, options: request.Options, memory_gib: Column
) -> Column:
    """Return after how long pre-copy is ended.

    :param memory_gib: that the policy takes it for, shape ``(n,)``
    :returns: infinity where the profile is what grants it, shape ``(n,)``
    """
    if options.time_limit_seconds > 0:
        return np.full_like(memory_gib, options.time_limit_seconds)
    if manner.seconds_per_gib <= 0:
        return np.full_like(memory_gib, np.inf)
    limits: Column = manner.seconds_per_gib * memory_gib
    return limits
