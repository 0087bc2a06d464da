"""How one instance writes to its memory, measured while somebody waits.

A round is several windows of different lengths, one after another: only so
does it show how much of its memory an instance writes to over and over.
"""

import collections.abc
import threading
import time

from kvm_balancer import errors
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.virt import driver

#: Between two looks whether a window is over, and for how much longer than
#: the window one is looked for.
_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 30.0
#: Windows of a round; each is twice as long as the one before it.
_WINDOWS = 5
#: Of a window, as hypervisors have it.
LONGEST_SECONDS = 60

#: What each window, by its seconds, saw of memory that got dirty; MiB.
Dirtied = dict[int, float]


class Rounds:
    """Measures one instance at a time.

    :param windows_seconds: lengths of the windows of a round
    :param wait: lets seconds go by; true when it is to end instead
    """

    def __init__(
        self,
        hypervisor: driver.Driver,
        windows_seconds: collections.abc.Sequence[int],
        clock: collections.abc.Callable[[], float],
        wait: collections.abc.Callable[[float], bool],
    ) -> None:
        self._hypervisor = hypervisor
        self._windows = windows_seconds
        self._clock = clock
        self._wait = wait

    def measure(
        self,
        uid: str,
        goes_on: collections.abc.Callable[[], bool] = lambda: True,
    ) -> Dirtied | None:
        """Measure one instance in all windows; None when it came to nothing.

        :param goes_on: asked before and after each window
        :raises KVMBalancerError: when the hypervisor would not
        """
        dirtied: Dirtied = {}
        for seconds in self._windows:
            if not goes_on():
                return None
            if not self._hypervisor.begin_measuring(uid, seconds):
                return None
            mib = self._result(uid, seconds)
            if mib is None or not goes_on():
                return None
            dirtied[seconds] = mib
        return dirtied

    def _result(self, uid: str, seconds: int) -> float | None:
        until = self._clock() + seconds + _GRACE_SECONDS
        if self._wait(seconds):
            return None
        while self._clock() < until:
            mib = self._hypervisor.dirtied_mib(uid)
            if mib is not None:
                return mib
            if self._wait(_LOOK_SECONDS):
                return None
        return None


def windows(seconds: int) -> tuple[int, ...]:
    """Part so many seconds into up to five windows, 1 to 2 to 4 to 8 to 16.

    :param seconds: 1 to :data:`LONGEST_SECONDS`
    :returns: shortest first; together *seconds*
    """
    number = min((seconds + 1).bit_length() - 1, _WINDOWS)
    first = seconds // (2**number - 1)
    found = [first * 2**step for step in range(number - 1)]
    return (*found, seconds - sum(found))


def measure(
    hypervisor: driver.Driver,
    instance: str,
    memory_in_use_mib: float,
    seconds: int,
    clock: collections.abc.Callable[[], float] = time.monotonic,
    wait: collections.abc.Callable[[float], bool] | None = None,
) -> hot_set.HotSet:
    """Measure one instance once, and wait for what comes of it.

    :param instance: its uuid
    :param seconds: how long, all windows together
    :raises MigrationError: when it cannot be measured
    :raises HypervisorUnreachable: when the hypervisor does not answer
    """
    rounds = Rounds(
        hypervisor, windows(seconds), clock, wait or threading.Event().wait
    )
    dirtied = rounds.measure(instance)
    if dirtied is None:
        raise errors.MigrationError(
            'how it writes cannot be measured: it does not run, is busy with '
            'another job, or has too little memory'
        )
    return hot_set.fit(
        [hot_set.Dirtied(*window) for window in dirtied.items()],
        memory_in_use_mib,
    )
