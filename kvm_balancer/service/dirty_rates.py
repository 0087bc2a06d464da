"""How the instances of this host write to their memory, measured.

One instance is measured at a time, in windows of several lengths one after
another, in a thread of its own that nothing else waits for. An instance that
migrates, or is about to, is left alone; what is being measured of it is
thrown away, also where the migration is over before the window is. What
several rounds found is averaged, because a hypervisor looks at few of the
pages. What is not known is not made up.
"""

import collections.abc
import dataclasses
import logging
import threading
import time

from kvm_balancer import errors
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.model import sample
from kvm_balancer.service import background
from kvm_balancer.service import measuring
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)

#: Weight of the newest round.
_ALPHA = 0.4
#: An instance that was measured and writes too little to be noticed: more
#: than 0, which says that nothing is known.
LEAST_RATE_MIB_S = 0.1
#: Between two looks for an instance that is due.
_IDLE_SECONDS = 1.0
#: A hypervisor that is slow to begin a window is not waited for at the end.
_STOP_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How often and over which windows is measured.

    :ivar interval_seconds: between two rounds of one instance; 0 for never
    :ivar windows_seconds: lengths of the windows of a round
    """

    interval_seconds: float = 300.0
    windows_seconds: tuple[int, ...] = (1, 2, 4, 8, 16)


class DirtyRates:
    """Measures in the background, and fills in samples.

    :param is_free: whether an instance has no migration, and is not about
        to have one
    :param wait: lets seconds go by; true when it is to end instead
    """

    def __init__(
        self,
        hypervisor: driver.Driver,
        params: Params,
        is_free: collections.abc.Callable[[str], bool],
        clock: collections.abc.Callable[[], float] = time.monotonic,
        wait: collections.abc.Callable[[float], bool] | None = None,
    ) -> None:
        self._params = params
        self._is_free = is_free
        self._clock = clock
        self._lock = threading.Lock()
        #: memory in use of the instances that may be measured
        self._candidates: dict[str, float] = {}
        self._measured_at: dict[str, float] = {}
        #: what each window of an instance saw, averaged
        self._dirtied: dict[str, measuring.Dirtied] = {}
        self._found: dict[str, hot_set.HotSet] = {}
        self._trouble: dict[str, str] = {}
        #: the instance that is being measured, until it is to be left alone
        self._measured: str | None = None
        self._interrupted = threading.Event()
        self._rounds = measuring.Rounds(
            hypervisor,
            params.windows_seconds,
            clock,
            wait or self._interrupted.wait,
        )
        self._background = background.Background('dirty-rates', self._run)

    def start(self) -> None:
        """Begin, unless it is turned off."""
        if self._params.interval_seconds > 0.0:
            self._background.start()

    def stop(self) -> None:
        """End within a moment; a window under way is left to itself."""
        self._background.end()
        self._interrupted.set()
        self._background.join(_STOP_SECONDS)

    def leave_alone(self, uid: str) -> None:
        """Throw away what is being measured of an instance; it migrates.

        Returns at once. The hypervisor ends the window by itself.
        """
        with self._lock:
            if self._measured == uid:
                self._measured = None
                self._interrupted.set()

    def fill(self, seen: sample.InstanceUsages) -> sample.InstanceUsages:
        """Return *seen* with what is known of how its instances write.

        Takes note of who is here, too.
        """
        with self._lock:
            self._candidates = {
                uid: memory_mib
                for uid, owner, state, memory_mib in zip(
                    seen.id,
                    seen.owner,
                    seen.state,
                    seen.memory_usage_mib,
                    strict=True,
                )
                if owner == 'balancer' and state == 'running'
            }
            here = set(seen.id)
            for known in (
                self._measured_at,
                self._dirtied,
                self._found,
                self._trouble,
            ):
                for uid in known.keys() - here:
                    del known[uid]
            found = dict(self._found)
        if not found:
            return seen
        names = [field.name for field in dataclasses.fields(hot_set.HotSet)]
        return dataclasses.replace(
            seen,
            **{
                name: tuple(
                    getattr(found[uid], name) if uid in found else told
                    for uid, told in zip(
                        seen.id,
                        # a column that the driver did not fill in
                        getattr(seen, name) or (0.0,) * len(seen.id),
                        strict=True,
                    )
                )
                for name in names
            },
        )

    def measure_next(self) -> bool:
        """Measure the instance that is due the longest, if there is any.

        :returns: whether there was one
        """
        due = self._next()
        if due is None:
            return False
        uid, memory_mib = due
        trouble = ''
        with self._lock:
            self._measured = uid
            self._interrupted.clear()
        try:
            dirtied = self._rounds.measure(uid, lambda: self._may_go_on(uid))
        except errors.KVMBalancerError as error:
            trouble, dirtied = str(error), None
        with self._lock:
            if self._measured != uid:
                dirtied = None
            self._measured = None
            self._measured_at[uid] = self._clock()
            if trouble and trouble != self._trouble.get(uid):
                LOG.info('What %s dirties is not known: %s', uid, trouble)
            self._trouble[uid] = trouble
            if dirtied is not None:
                self._keep(uid, memory_mib, dirtied)
        return True

    def _may_go_on(self, uid: str) -> bool:
        return (
            self._measured == uid
            and not self._background.ending
            and self._is_free(uid)
        )

    def _next(self) -> tuple[str, float] | None:
        with self._lock:
            candidates = dict(self._candidates)
            measured = dict(self._measured_at)
        free = [uid for uid in candidates if self._is_free(uid)]
        if not free:
            return None
        first = min(free, key=lambda uid: measured.get(uid, float('-inf')))
        wait = self._params.interval_seconds
        if first in measured and self._clock() < measured[first] + wait:
            return None
        return first, candidates[first]

    def _keep(
        self, uid: str, memory_mib: float, dirtied: measuring.Dirtied
    ) -> None:
        before = self._dirtied.get(uid, {})
        kept = {
            seconds: mib
            if seconds not in before
            else before[seconds] + _ALPHA * (mib - before[seconds])
            for seconds, mib in dirtied.items()
        }
        self._dirtied[uid] = kept
        found = hot_set.fit(
            [hot_set.Dirtied(*window) for window in kept.items()], memory_mib
        )
        self._found[uid] = dataclasses.replace(
            found,
            dirty_rate_mib_s=max(found.dirty_rate_mib_s, LEAST_RATE_MIB_S),
        )

    def _run(self) -> None:
        while not self._background.ending:
            try:
                some = self.measure_next()
            except Exception:
                LOG.exception('A measurement of dirty rates failed')
                some = False
            if not some:
                self._background.pause(_IDLE_SECONDS)
