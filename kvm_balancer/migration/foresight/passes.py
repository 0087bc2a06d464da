"""Pre-copy pass by pass, for many guests at once, as QEMU does it.

A pass carries what is dirty. It ends as soon as what is left of it fits the
limit of the downtime, at which QEMU looks every 50 ms or so: only then does
it ask what got dirty meanwhile. What was left is united with that, and goes
first in the next pass, as QEMU looks on for dirty pages from where it stopped.
A sweep of the hot set goes on beside it (seen with QEMU 7.2), unless all of
that was dirty: then it may fall on it, so that a hot set which is a little
larger than what fits is switched after few passes, whatever the dirty rate.
Hits that are made at random fall on it as on all else. When all of it fits,
the guest is stopped, and what is left is carried while it stands: so even an
idle guest stands still for about the limit (seen with QEMU 7.2). The limit is
QEMU's own at first and is raised to what is allowed, for good, when a pass
does not leave less than half of the one before.

Under auto-converge the guest is slowed down by steps as in QEMU: when it
dirtied more than half of what was sent, twice, over at least a second each.

What fits the limit is a matter of the bandwidth that there is when a pass
ends, of links that carry more or less as time goes by (:mod:`.flow`).
"""

import dataclasses

import numpy as np
from numpy import typing as npt

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import dirtying
from kvm_balancer.migration.foresight import flow

Column = npt.NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)
#: Far less than a page.
_NOTHING_MIB = 1e-6

#: A pass that leaves less of the one before is worth another one.
FALLS_FAST = 0.5
#: Of a hot set that is dirty to this share the sweep may be anywhere, and
#: what stays is in its way; else it is past that.
NEARLY_ALL = 0.93
#: A sweep that may be anywhere is taken to write, in one of several passes, to
#: nothing but what stays, when the odds that it has not done so are less.
LEAST_ODDS = 0.5
#: A pass that leaves more does not get anywhere.
STALLS = 0.999
#: No more passes are looked at: what has not converged by then is given up.
MOST_PASSES = 256

#: Throttles as shares of the guest's time.
FIRST_THROTTLE = qemu.FIRST_THROTTLE_PERCENT / 100.0
THROTTLE_STEP = qemu.THROTTLE_STEP_PERCENT / 100.0
HIGHEST_THROTTLE = qemu.HIGHEST_THROTTLE_PERCENT / 100.0


@dataclasses.dataclass(frozen=True, slots=True)
class Steps:
    """How auto-converge slows a guest down; shares of its time.

    :ivar allowed: the highest throttle; 0 for no auto-converge
    """

    first: float = FIRST_THROTTLE
    step: float = THROTTLE_STEP
    allowed: float = 0.0

    @classmethod
    def of(cls, options: request.Options) -> 'Steps':
        """Return what a request allows."""
        if not options.auto_converge or options.max_throttle_percent <= 0:
            return cls()
        allowed = min(options.max_throttle_percent / 100.0, HIGHEST_THROTTLE)
        first = options.auto_converge_initial_percent / 100.0
        step = options.auto_converge_increment_percent / 100.0
        return cls(
            min(first or FIRST_THROTTLE, allowed),
            step or THROTTLE_STEP,
            allowed,
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """What pre-copy takes; infinite where it does not converge.

    :ivar carried_mib: in all, the last stop included
    :ivar stopped_mib: what is carried while the guest stands still
    :ivar throttled: True where the guest is slowed down in the end
    """

    carried_mib: Column
    stopped_mib: Column
    throttled: npt.NDArray[np.bool_]


class _Run:
    """The rows that are still being copied."""

    def __init__(
        self,
        guests: dirtying.Dirtying,
        link: flow.Flow,
        allowed_ms: float,
        steps: Steps,
        granted_mib: Column,
    ) -> None:
        bandwidth = link.mib_s[0]
        self.rows = np.arange(len(bandwidth))
        self.guests = guests
        self.link = link
        self.bandwidth = bandwidth
        self.granted_mib = granted_mib
        self.allowed_ms = allowed_ms
        self.limit_ms = np.full_like(
            bandwidth, min(qemu.FIRST_DOWNTIME_MS, allowed_ms)
        )
        self.hot, self.rest = guests.hot_mib, guests.rest_mib
        # what of it got dirty in the last pass: the others go first
        self.new_hot, self.new_rest = self.hot, self.rest
        # that no sweep of all of the hot set fell on what stays
        self.odds = np.ones_like(bandwidth)
        self.left = guests.memory_mib
        self.carried = np.zeros_like(bandwidth)
        # when the last pass ended, over a link that changes
        self.at = np.zeros_like(bandwidth)
        self.steps = steps
        self.throttle = np.zeros_like(bandwidth)
        # since auto-converge looked the last time
        self.looks = np.zeros_like(bandwidth)
        self.seconds = np.zeros_like(bandwidth)
        self.sent = np.zeros_like(bandwidth)
        self.dirtied = np.zeros_like(bandwidth)

    def keep_only(self, rows: npt.NDArray[np.intp]) -> None:
        """Go on with some of the rows."""
        self.guests = self.guests.only(rows)
        self.link = self.link.only(rows)
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray):
                setattr(self, name, column[rows])

    def copy(self) -> npt.NDArray[np.bool_]:
        """Make one pass; say which rows it got nowhere with."""
        before = self.left
        stays, seconds = self._go_over(before)
        carried = before - stays
        guests = self.guests
        slowed = seconds * guests.pace(self.throttle)
        hot, rest = self._staying(stays)
        swept = guests.hot_mib * guests.hot_share(slowed)
        self.rest = rest + (
            (guests.rest_mib - rest) * guests.rest_share(slowed)
        )
        self.hot = self._sweep(hot, swept, np.maximum(self.limit - stays, 0.0))
        self.new_hot, self.new_rest = self.hot - hot, self.rest - rest
        self.left = self.hot + self.rest
        self.limit_ms = np.where(
            self.left > FALLS_FAST * before, self.allowed_ms, self.limit_ms
        )
        self.carried = self.carried + carried
        stalls = self.left > STALLS * before
        if self.link.ends:
            # over the link as it will be it may get on
            stalls &= self.at - seconds >= self.link.ends[-1]
        if self.steps.allowed > 0.0:
            dirtied = self.left - (before - carried)
            stalls &= ~self._throttle(seconds, carried, dirtied)
        return stalls | (self.carried > self.granted_mib)

    def _go_over(self, dirty: Column) -> tuple[Column, Column]:
        """Carry what is dirty until what is left of it fits.

        :returns: what is left of it, and how long that took
        """
        stays = np.minimum(self._kept, dirty)
        if not self.link.ends:
            return stays, (dirty - stays) / self.bandwidth
        # what fits is another matter when the link has changed by then
        ends = self.link.seconds(self.carried + dirty - stays)
        self.bandwidth = self.link.at(ends)
        stays = np.minimum(self._kept, dirty)
        began = self.at
        self.at = self.link.seconds(self.carried + dirty - stays)
        return stays, self.at - began

    @property
    def limit(self) -> Column:
        """What fits the limit of the downtime."""
        return self.bandwidth * self.limit_ms / 1e3

    @property
    def _kept(self) -> Column:
        """What is left when QEMU sees that it fits."""
        return np.maximum(self.limit - qemu.LOOK_SECONDS * self.bandwidth, 0.0)

    def _staying(self, stays: Column) -> tuple[Column, Column]:
        """Say what of hot set and rest is not carried by a pass."""
        new = self.new_hot + self.new_rest
        of_new = np.minimum(stays, new) / np.maximum(new, _TINY)
        old = self.left - new
        of_old = np.maximum(stays - new, 0.0) / np.maximum(old, _TINY)
        hot = self.new_hot * of_new + (self.hot - self.new_hot) * of_old
        return hot, np.maximum(stays - hot, 0.0)

    def _sweep(self, stays: Column, swept: Column, room: Column) -> Column:
        """Say how much of the hot set is dirty after a pass.

        :param room: what may be dirty besides when the guest is switched
        """
        size = np.maximum(self.guests.hot_mib, _NOTHING_MIB)
        anywhere = self.hot >= NEARLY_ALL * size
        meets = np.clip((stays - swept + 2.0 * room) / size, 0.0, 1.0)
        begun = self.carried > 0.0
        self.odds = self.odds * (1.0 - np.where(anywhere & begun, meets, 0.0))
        missed = np.where(anywhere, 1.0 - stays / size, 1.0)
        dirty = np.minimum(self.guests.hot_mib, stays + swept * missed)
        fits = np.maximum(self.limit - self.rest, 0.0)
        met = self.odds < LEAST_ODDS
        return np.where(met, np.minimum(dirty, fits), dirty)

    def switches(self) -> npt.NDArray[np.bool_]:
        """Say which rows are switched."""
        switched: npt.NDArray[np.bool_] = self.left <= self.limit
        return switched

    def _throttle(
        self, seconds: Column, sent: Column, dirtied: Column
    ) -> npt.NDArray[np.bool_]:
        """Let auto-converge look; say where the throttle may yet rise."""
        self.seconds = self.seconds + seconds
        self.sent = self.sent + sent
        self.dirtied = self.dirtied + dirtied
        due = self.seconds >= qemu.THROTTLE_PERIOD_SECONDS
        high = due & (self.dirtied > qemu.THROTTLE_SHARE * self.sent)
        self.looks = self.looks + high
        rises = self.looks >= qemu.THROTTLE_LOOKS
        steps = self.steps
        raised = np.where(
            self.throttle > 0.0, self.throttle + steps.step, steps.first
        )
        may_rise = self.throttle < steps.allowed
        self.throttle = np.where(
            rises, np.minimum(raised, steps.allowed), self.throttle
        )
        self.looks = np.where(rises, 0.0, self.looks)
        for name in ('seconds', 'sent', 'dirtied'):
            setattr(self, name, np.where(due, 0.0, getattr(self, name)))
        return may_rise | rises


def copy(
    guests: dirtying.Dirtying,
    link: flow.Flow,
    max_downtime_ms: float,
    steps: Steps,
    granted_mib: Column,
) -> Copies:
    """Copy many guests, all with the same means.

    :param link: what goes over the network, shape ``(n,)``
    :param granted_mib: who has carried more is given up, shape ``(n,)``
    :returns: columns of shape ``(n,)``
    """
    carried = np.full_like(granted_mib, np.inf)
    stopped = np.full_like(granted_mib, np.inf)
    throttled = np.zeros(granted_mib.shape, dtype=np.bool_)
    run = _Run(guests, link, max_downtime_ms, steps, granted_mib)
    over = run.switches()
    lost = link.last_mib_s <= 0.0
    over &= ~lost
    for _ in range(MOST_PASSES):
        ended = run.rows[over]
        carried[ended] = (run.carried + run.left)[over]
        stopped[ended] = run.left[over]
        throttled[ended] = run.throttle[over] > 0.0
        if (over | lost).any():
            run.keep_only(np.flatnonzero(~(over | lost)))
        if not len(run.rows):
            break
        lost = run.copy()
        over = run.switches()
        lost &= ~over
    return Copies(carried, stopped, throttled)
