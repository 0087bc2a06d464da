"""What a migration will take, from what is known before it starts.

V is the memory in use, B the bandwidth, d the dirty rate, h the hot set, c
the cold rate (:mod:`.dirtying` says how a guest writes, :mod:`.passes` what
pre-copy makes of that). Post-copy after one pass carries V and what got
dirty during that pass, U(V / B), which is at most min(d V / B, V); it is
chosen where it is allowed and pre-copy would clearly take longer than is
granted (:mod:`.granted`). Nothing takes less than V / B.

Columns in, columns out: a plan predicts a fleet's instances in one call.
"""

import collections.abc
import dataclasses
import math

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.foresight import dirtying
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import granted as granting
from kvm_balancer.migration.foresight import passes
from kvm_balancer.migration.foresight import steps
from kvm_balancer.model import plan

Column = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = collections.abc.Iterator[plan.Prediction]

#: Checks, the destination's QEMU and the beginning of the stream before the
#: first byte; the end of the job, and a look at both ends after the last
#: (seen with libvirt 9.0 and QEMU 7.2 on small hosts: 0.5 to 1 s, 1.4 to
#: 2 s). Hosts differ, and past migrations tell how: :mod:`.correction`.
SETUP_SECONDS = 0.55
FINISH_SECONDS = 1.7
FIXED_SECONDS = SETUP_SECONDS + FINISH_SECONDS
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
    """Predict one migration over a link that carries the same all along.

    :param hot_set_mib: None where it is not known: all memory in use
    :param cpu_cores: that the guest uses; 0 where it is not known
    """
    return predict_over(
        memory_in_use_mib,
        dirty_rate_mib_s,
        flow.Flow.steady(np.array([bandwidth_mib_s], dtype=np.float64)),
        hot_set_mib,
        options,
        cold_rate_mib_s,
        cpu_cores,
        manner,
    )


def predict_over(
    memory_in_use_mib: float,
    dirty_rate_mib_s: float,
    link: flow.Flow,
    hot_set_mib: float | None,
    options: request.Options,
    cold_rate_mib_s: float = 0.0,
    cpu_cores: float = 0.0,
    manner: manners.Manner = manners.ADAPTIVE,
) -> plan.Prediction:
    """Predict one migration over a link that is shared by others at times.

    :param link: of one row, from the first byte of the memory on
    :param hot_set_mib: None where it is not known: all memory in use
    :param cpu_cores: that the guest uses; 0 where it is not known
    """

    def rows(granted: request.Options) -> Rows:
        return predict_columns(
            np.array([memory_in_use_mib], dtype=np.float64),
            np.array([dirty_rate_mib_s], dtype=np.float64),
            link,
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
    link: flow.Flow,
    hot_set_mib: Column | None,
    options: request.Options,
    cold_rate_mib_s: Column | None = None,
    cpu_cores: Column | None = None,
    manner: manners.Manner = manners.ADAPTIVE,
) -> Columns:
    """Predict many migrations at once, all with the same options.

    :param memory_in_use_mib: shape (n,)
    :param dirty_rate_mib_s: at which clean pages get dirty, shape (n,)
    :param link: what is free between the two hosts, of memory and not of
        frames, shape (n,)
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
    guests = dirtying.Dirtying.of(
        memory_in_use_mib,
        dirty_rate_mib_s,
        hot_set_mib,
        cold_rate_mib_s,
        cpu_cores,
    )
    sent = link.limited(options.bandwidth_mib_s or math.inf)
    gib = np.maximum(memory_in_use_mib / _MIB_PER_GIB, manner.least_gib)
    granted = granting.grant(guests, sent, gib, options, manner, SETUP_SECONDS)
    most = granted.most_mib
    copied = steps.copy(guests, sent, options, most, manner, gib)
    foreseen = copied
    if sent.ends and options.post_copy:
        # who decides after one pass takes the link for what it was by then
        seen = sent.as_of(granting.first_pass(guests, sent))
        foreseen = steps.copy(guests, seen, options, most, manner, gib)
    hybrid = granting.hybrid(
        guests, sent, copied, foreseen, granted, options, manner.by_clock
    )
    chosen = _choose(guests, sent, copied, granted, hybrid, options, manner)
    return _tell(sent, link, copied, *chosen, options)


def _choose(
    guests: dirtying.Dirtying,
    sent: flow.Flow,
    copied: passes.Copies,
    granted: granting.Granted,
    hybrid: tuple[Flags, Column],
    options: request.Options,
    manner: manners.Manner,
) -> tuple[Flags, Flags, Column]:
    """Take pre-copy, post-copy or neither for each row.

    :param hybrid: who ends by post-copy, and what that carries
    :returns: who does, who converges, and what is carried
    """
    # without bandwidth nothing goes, in either mode
    some = sent.last_mib_s > 0.0
    post_copy = hybrid[0] & some
    stands = some & np.isfinite(copied.carried_mib)
    stands &= copied.carried_mib <= granted.in_time_mib + np.where(
        stands, copied.stopped_mib, 0.0
    )
    tried = granted.by_clock_mib
    if not manner.by_clock:
        again = guests.dirtied_mib(granting.first_pass(guests, sent))
        shown = patience.PATIENCE[options.profile].passes + 1.0
        tried = guests.memory_mib + shown * again
    converges = post_copy | stands
    mib = np.where(post_copy, hybrid[1], copied.carried_mib)
    mib = np.where(converges, mib, np.minimum(tried, granted.in_time_mib))
    return post_copy, converges, np.where(some, mib, 0.0)


def _tell(
    sent: flow.Flow,
    link: flow.Flow,
    copied: passes.Copies,
    post_copy: Flags,
    converges: Flags,
    mib: Column,
    options: request.Options,
) -> Columns:
    """Say how long it takes to carry so much, and how long it stops.

    :param link: carries what is left while the guest stands still: QEMU
        lifts the limit of the bandwidth then
    """
    some = sent.last_mib_s > 0.0
    seconds = sent.seconds(mib)
    stands = converges & ~post_copy
    carries = link.at(np.where(stands, seconds, 0.0))
    pause_ms = np.where(
        stands, copied.stopped_mib / np.where(some, carries, 1.0) * 1e3, 0.0
    )
    return Columns(
        np.where(some, seconds + FIXED_SECONDS, np.inf),
        np.where(converges, pause_ms + qemu.SWITCH_MS, 0.0),
        mib,
        post_copy,
        converges,
        copied.throttled & stands,
        float(options.bandwidth_mib_s),
    )
