"""The executor's eyes, lent to whoever steers a migration from elsewhere.

A watch lasts for as long as somebody asks for what it sees. Nothing is done
to any instance: see :meth:`kvm_balancer.virt.driver.Driver.observe`.
"""

import collections
import dataclasses
import itertools
import logging
import threading
import time
import uuid

from kvm_balancer import errors
from kvm_balancer.messages import observation as messages
from kvm_balancer.migration import events
from kvm_balancer.service import background
from kvm_balancer.virt import driver
from kvm_balancer.virt import steady

LOG = logging.getLogger(__name__)

#: A watch that nobody has asked about for so long is given up.
LEASE_SECONDS = 60.0
#: More migrations leave no host at one time.
MOST_WATCHES = 64
#: Events of a job that are kept for who asks; the oldest go first.
_KEPT = 2000


class Observing:
    """Watches instances of this host for others.

    :param lease_seconds: a watch lasts so long unless it is asked about
    """

    def __init__(
        self,
        hypervisor: driver.Driver,
        clock: steady.Clock | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._hypervisor = hypervisor
        self._clock = clock or steady.SteadyClock()
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._watches: dict[str, _Watch] = {}
        self._background = background.Background('observing', self._run)

    def start(self) -> None:
        """Give watches up from now on that nobody asks about."""
        self._background.start()

    def stop(self) -> None:
        """Give all watches up."""
        self._background.stop()
        self.lapse(float('inf'))

    def ask(self, ask: messages.Ask) -> messages.Answer:
        """Say what was seen since; the first time, begin to watch.

        :raises HypervisorError: when too much is watched already
        """
        with self._lock:
            watch = self._watches.get(ask.migration_id)
            if watch is None:
                if len(self._watches) >= MOST_WATCHES:
                    raise errors.HypervisorError(
                        f'{len(self._watches)} migrations are watched here, '
                        'and no more can be'
                    )
                watch = _Watch(self._hypervisor, ask.instance, self._clock)
                self._watches[ask.migration_id] = watch
            watch.until = time.monotonic() + self._lease_seconds
        return watch.told(ask, self._clock())

    def lapse(self, now: float) -> None:
        """Give up what nobody has asked about for long.

        :param now: of the monotonic clock
        """
        with self._lock:
            over = [
                name
                for name, watch in self._watches.items()
                if watch.until < now
            ]
            given_up = [self._watches.pop(name) for name in over]
        for watch in given_up:
            watch.close()

    def _run(self) -> None:
        while self._background.pause(self._lease_seconds / 4.0):
            self.lapse(time.monotonic())


@dataclasses.dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    event: events.Event


class _Watch:
    """One migration under observation.

    :ivar until: of the monotonic clock: it is given up after it
    """

    def __init__(
        self, hypervisor: driver.Driver, instance: str, clock: steady.Clock
    ) -> None:
        self.until = 0.0
        self._name = str(uuid.uuid4())
        self._numbers = itertools.count(1)
        self._kept: collections.deque[_Numbered] = collections.deque(
            maxlen=_KEPT
        )
        self._lock = threading.Lock()
        self._observer = hypervisor.observe(instance, self._keep, clock)

    def told(self, ask: messages.Ask, now: float) -> messages.Answer:
        """Return what the asker has not been told; what it has is let go."""
        with self._lock:
            if ask.watch == self._name:
                while self._kept and self._kept[0].number <= ask.after:
                    self._kept.popleft()
            return messages.Answer(
                self._name,
                tuple(
                    messages.seen(one.number, one.event, now)
                    for one in self._kept
                ),
            )

    def close(self) -> None:
        """Look away."""
        self._observer.close()

    def _keep(self, event: events.Event) -> None:
        with self._lock:
            last = self._kept[-1].event if self._kept else None
            if isinstance(event, events.Progressed) and isinstance(
                last, events.Progressed
            ):
                # Only the newest figures are of use.
                self._kept.pop()
            self._kept.append(_Numbered(next(self._numbers), event))
