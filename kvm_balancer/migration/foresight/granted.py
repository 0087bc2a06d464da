"""How much pre-copy may carry, and what comes when that is over. Pure.

A limit in time ends pre-copy, by post-copy where that is allowed and one pass
is over; without one, what is granted is a matter of the profile. Where
post-copy is allowed it has hardly more than a pass and post-copy after it
would take: pre-copy can be broken off, post-copy cannot.
"""

import dataclasses

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.foresight import dirtying
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import passes

Column = npt.NDArray[np.float64]

#: Pre-copy that would take up to so many times what is granted may as well
#: keep to it: whether a guest sweeps its hot set or hits it at random is not
#: known, and makes as much of a difference.
NEARLY = 1.05


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """What pre-copy may carry; columns of shape ``(n,)``.

    :ivar in_time_mib: until the time is up; infinite without a limit
    :ivar budget_mib: by who has no limit in time
    """

    in_time_mib: Column
    budget_mib: Column

    @property
    def most_mib(self) -> Column:
        """What is carried before it is given up."""
        return np.maximum(
            self.budget_mib, np.where(self.limited, self.in_time_mib, 0.0)
        )

    @property
    def limited(self) -> npt.NDArray[np.bool_]:
        """Who has a limit in time."""
        return np.isfinite(self.in_time_mib)

    @property
    def by_clock_mib(self) -> Column:
        """What is carried by who goes on until the time is up."""
        return np.where(self.limited, self.in_time_mib, self.budget_mib)


def first_pass(guests: dirtying.Dirtying, sent: flow.Flow) -> Column:
    """Return the seconds of a full pass; 0 where it never ends."""
    seconds = sent.seconds(guests.memory_mib)
    return np.where(np.isfinite(seconds), seconds, 0.0)


def grant(
    guests: dirtying.Dirtying,
    sent: flow.Flow,
    gib: Column,
    options: request.Options,
    manner: manners.Manner,
    setup_seconds: float,
) -> Granted:
    """Say what pre-copy may carry.

    :param sent: what goes over the network
    :param gib: what the policy takes the memory for, shape ``(n,)``
    :param setup_seconds: of a limit in time, before the first byte
    """
    limit = _limit_seconds(manner, options, gib)
    in_time = sent.carried_mib(np.maximum(limit - setup_seconds, 0.0))
    full = first_pass(guests, sent)
    seconds = np.maximum(
        patience.PATIENCE[options.profile].budget * full,
        patience.least_seconds(options) + patience.SHOWN_PASSES * full,
    )
    # who has no limit and decides by the clock goes on through all its steps
    stepping = manner.step_seconds_per_gib * manner.downtime_steps * gib
    return Granted(
        np.where(np.isfinite(limit), in_time, np.inf),
        sent.carried_mib(np.maximum(seconds, stepping)),
    )


def hybrid(
    guests: dirtying.Dirtying,
    sent: flow.Flow,
    copied: passes.Copies,
    foreseen: passes.Copies,
    granted: Granted,
    options: request.Options,
    by_clock: bool,
) -> tuple[npt.NDArray[np.bool_], Column]:
    """Say who ends by post-copy, and what that carries.

    After one pass where pre-copy would take more than it is granted, else, or
    by the clock, when the time is up; never before a pass is over. Where it
    took longer than was to be foreseen, when what is granted is over.

    :param sent: what goes over the network
    :param copied: pre-copy as it goes
    :param foreseen: as it would go by what is known after one pass
    """
    memory = guests.memory_mib
    first = first_pass(guests, sent)
    again = guests.dirtied_mib(first)
    both = memory + again
    if not options.post_copy:
        return np.zeros(memory.shape, dtype=np.bool_), both
    carried, in_time = copied.carried_mib, granted.in_time_mib
    worth = np.maximum(
        options.post_copy_patience * both * NEARLY,
        memory + patience.WORTH_SECONDS * sent.at(first),
    )
    due = (foreseen.carried_mib > worth) & (not by_clock)
    until = in_time if by_clock else np.minimum(in_time, worth)
    stopped = np.where(np.isfinite(carried), copied.stopped_mib, 0.0)
    late = carried - stopped > until
    # the last passes leave no more than the first one
    at_last = np.minimum(carried, until + again)
    mib = np.where(late & ~due, at_last, both)
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
