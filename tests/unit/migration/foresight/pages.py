"""A copy page by page, of a guest that sweeps a part of its memory.

As QEMU makes it: it looks on for dirty pages from where it stopped, asks every
50 ms whether what is left fits, and only then what was written meanwhile.
"""

import numpy as np

from kvm_balancer.migration import qemu
from kvm_balancer.migration.foresight import dirtying

PAGES_PER_MIB = 4
_GIVEN_UP = 16


class Copy:
    """One copy.

    :param phase: where in its round the sweep is, 0 to 1
    """

    def __init__(self, memory_mib, hot_mib, rate_mib_s, phase):
        pages = int(memory_mib * PAGES_PER_MIB)
        self._hot = int(hot_mib * PAGES_PER_MIB)
        self._rate = rate_mib_s * PAGES_PER_MIB
        self._at = phase * self._hot
        self._dirty = np.ones(pages, bool)
        self._written = np.zeros(pages, bool)
        self._next = 0
        self._throttle = 0.0
        self._seconds = self._looked_at = 0.0
        self._sent = self._dirtied = self._looks = 0

    def run(self, bandwidth_mib_s, first_ms, allowed_ms):
        """Return the MiB of all of it; infinite when it is given up."""
        a_second = bandwidth_mib_s * PAGES_PER_MIB
        limit, sent = first_ms * a_second / 1e3, 0
        while sent < _GIVEN_UP * len(self._dirty):
            before = self._dirty.sum()
            carried = self._pass(int(a_second * qemu.LOOK_SECONDS), limit)
            new = int((self._written & ~self._dirty).sum())
            self._dirty |= self._written
            self._written[:] = False
            sent += carried
            self._look(carried, new)
            left = self._dirty.sum()
            if left > 0.5 * before:
                limit = allowed_ms * a_second / 1e3
            if left <= limit:
                return (sent + left) / PAGES_PER_MIB
        return np.inf

    def _pass(self, at_once, limit):
        carried = 0
        while True:
            found = np.flatnonzero(self._dirty)
            start = np.searchsorted(found, self._next)
            found = np.roll(found, -start)[:at_once]
            self._dirty[found] = False
            if len(found):
                self._next = (found[-1] + 1) % len(self._dirty)
            carried += len(found)
            self._write(qemu.LOOK_SECONDS)
            if self._dirty.sum() <= limit:
                return carried

    def _write(self, seconds):
        pace = min(1.0, (1.0 - self._throttle) / dirtying.LEAST_AWAKE)
        last = self._at + self._rate * seconds * pace
        pages = np.arange(round(self._at), round(last)) % self._hot
        self._written[pages] = True
        self._at = last
        self._seconds += seconds

    def _look(self, carried, new):
        self._sent += carried
        self._dirtied += new
        since = self._seconds - self._looked_at
        if since <= qemu.THROTTLE_PERIOD_SECONDS:
            return
        self._looks += self._dirtied > qemu.THROTTLE_SHARE * self._sent
        self._looked_at = self._seconds
        self._sent = self._dirtied = 0
        if self._looks == qemu.THROTTLE_LOOKS:
            self._looks = 0
            step = 0.1 if self._throttle else 0.2
            self._throttle = min(self._throttle + step, 0.99)
