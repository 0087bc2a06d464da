"""Auto-converge: its steps, and what of it can be foreseen.

QEMU looks at the end of a pass, and at most once a second, whether more than
half of what was sent got dirty meanwhile. When it did so twice it slows the
guest down by another step, and asks nobody: libvirt has no word for the
highest throttle, so that what is not allowed has to be ended before it. It
stops at its own maximum by itself: where that is allowed nothing has to be
ended, but no further step will help either.
"""

import dataclasses
import math

from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import boundary

#: A throttle that is to rise has risen after so many passes and seconds.
PASSES = 4
SECONDS = 6.0
#: An estimate may be wrong by as much: a network is never quite even.
UNSURE = 1.25
#: Passes after it reached what is allowed: they show what it did.
TRIED_PASSES = 2
#: The share as it is seen here may differ from QEMU's, by what the answer to
#: how much is left was late: what is not allowed is ended a little early, and
#: a step is waited for a little too often.
LEAST_DOUBT, MOST_DOUBT = 0.001, 0.02
RISING_SHARE = 0.9 * qemu.THROTTLE_SHARE
_ROUNDING = 0.001


def settle(options: request.Options) -> request.Options:
    """Choose the throttle's first value and step so that they fit.

    Where the request leaves them to the hypervisor, its defaults are taken
    as far as the throttle that is allowed; auto-converge is off where that
    is none.
    """
    allowed = options.max_throttle_percent
    if not options.auto_converge or allowed <= 0:
        return dataclasses.replace(options, auto_converge=False)
    first = min(
        options.auto_converge_initial_percent or qemu.FIRST_THROTTLE_PERCENT,
        allowed,
    )
    step = (
        options.auto_converge_increment_percent or qemu.THROTTLE_STEP_PERCENT
    )
    if allowed < qemu.HIGHEST_THROTTLE_PERCENT and allowed > first:
        # equal steps that end on what is allowed, or just below it
        steps = math.ceil((allowed - first) / step)
        step = max(1, (allowed - first) // steps)
    return dataclasses.replace(
        options,
        auto_converge_initial_percent=first,
        auto_converge_increment_percent=step,
    )


class Watch:
    """Looks at the passes as QEMU does.

    :ivar percent: the present throttle
    :ivar passes: ends of passes that it has seen
    """

    def __init__(self, options: request.Options) -> None:
        self.percent = 0
        self.passes = 0
        self._on = options.auto_converge
        self._allowed = options.max_throttle_percent
        self._step = options.auto_converge_increment_percent
        self._since: float | None = None
        self._at = 0.0
        self._looked_at: float | None = None
        self._sent_mib = self._dirtied_mib = 0.0
        self._high = 0
        self._share = 1.0
        self._spent_share = qemu.THROTTLE_SHARE

    def take(self, seen: boundary.Boundary) -> None:
        """Take in the end of a pass."""
        doubt = seen.late_seconds / max(seen.at - self._at, qemu.LOOK_SECONDS)
        self._spent_share = qemu.THROTTLE_SHARE * (
            1.0 - min(max(doubt, LEAST_DOUBT), MOST_DOUBT)
        )
        self._at = seen.at
        if self._since is None or seen.throttle_percent != self.percent:
            self.percent, self.passes = seen.throttle_percent, 0
            self._since, self._high = seen.at, 0
            self._look(seen.at)
        self.passes += 1
        self._share = _share(seen.dirtied_mib, seen.carried_mib)
        self._sent_mib += seen.carried_mib
        self._dirtied_mib += seen.dirtied_mib
        begun = seen.at if self._looked_at is None else self._looked_at
        if seen.at - begun >= qemu.THROTTLE_PERIOD_SECONDS:
            share = _share(self._dirtied_mib, self._sent_mib)
            self._high += share > self._spent_share
            self._look(seen.at)

    def _look(self, at: float) -> None:
        self._looked_at = at
        self._sent_mib = self._dirtied_mib = 0.0

    def spent(self, seconds: float) -> bool:
        """Say whether it is about to exceed what is allowed, or did.

        :param seconds: how long the next pass takes
        """
        if not self._on:
            return False
        if self.percent > self._allowed:
            return True
        looked_at = self._at if self._looked_at is None else self._looked_at
        # it ends when QEMU looks, and clocks are not that exact
        ends_at = self._at + max(seconds, qemu.LOOK_SECONDS) + _ROUNDING
        return (
            self._at_last_step
            and not self._at_highest
            and ends_at - looked_at >= qemu.THROTTLE_PERIOD_SECONDS
            and self._high >= qemu.THROTTLE_LOOKS - 1
            and self._share > self._spent_share
        )

    def in_vain(
        self, pass_seconds: float, seconds_left: float, granted_seconds: float
    ) -> bool:
        """Say whether what is allowed was tried, and will not do.

        :param pass_seconds: how long the next pass takes
        :param seconds_left: how long it takes at this throttle until what is
            left fits the stop
        :param granted_seconds: what it has for that at QEMU's highest
            throttle; at a lower one it has until the next step
        """
        if not self._at_last_step or self.passes <= TRIED_PASSES:
            return False
        if not self._at_highest:
            granted_seconds = self._rises_at(pass_seconds) - self._at
        return (
            self._share > self._spent_share
            and seconds_left > UNSURE * granted_seconds
        )

    def _rises_at(self, pass_seconds: float) -> float:
        """Return when the next step is taken, if all goes on so."""
        at = self._at
        looked_at = at if self._looked_at is None else self._looked_at
        for _ in range(qemu.THROTTLE_LOOKS - self._high):
            while at - looked_at < qemu.THROTTLE_PERIOD_SECONDS:
                at += max(pass_seconds, qemu.LOOK_SECONDS)
                pass_seconds *= self._share
            looked_at = at
        return at

    @property
    def _at_last_step(self) -> bool:
        """Another step would be more than is allowed, or is none."""
        if not self._on or self.percent <= 0:
            return False
        if self._allowed >= qemu.HIGHEST_THROTTLE_PERCENT:
            # the last step is cut short, not left out
            return self._at_highest
        return self.percent + self._step > self._allowed

    @property
    def _at_highest(self) -> bool:
        """QEMU takes no further step."""
        return self.percent >= qemu.HIGHEST_THROTTLE_PERCENT

    @property
    def may_rise(self) -> bool:
        """It is yet to come, or has just risen and may do so again."""
        waited = self._at - (self._at if self._since is None else self._since)
        return (
            self._on
            and self.percent < self._allowed
            and self._share > RISING_SHARE
            and (self.passes <= PASSES or waited <= SECONDS)
        )


def _share(dirtied_mib: float, sent_mib: float) -> float:
    return dirtied_mib / sent_mib if sent_mib > 0.0 else 1.0
