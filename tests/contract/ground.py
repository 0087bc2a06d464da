"""What the contract of a driver is tested on: two hosts and instances.

Every driver brings a ground of its own. The instances are real to their
driver; how fast they write decides what becomes of their migration.
"""

import abc
import collections.abc
import queue
import time
import typing
import uuid

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import driver

#: Long enough for the slowest machine; a test that passes never waits so
#: long.
PATIENCE_SECONDS = 300.0

Seen = typing.TypeVar('Seen', bound=events.Event)


class Ground(abc.ABC):
    """Two hosts of one driver.

    :ivar source: driver of the host that instances are made on, connected;
        it may move everything but what belongs to Nova
    :ivar destination: driver of the host that they are to go to, connected
    :ivar bandwidth_mib_s: limit of the stream under which a calm instance
        converges and a busy one does not
    """

    source: driver.Driver
    destination: driver.Driver
    bandwidth_mib_s: int

    @abc.abstractmethod
    def unread(self) -> driver.Driver:
        """Return a driver of the source that was never read."""

    @abc.abstractmethod
    def calm(self) -> str:
        """Start an instance that hardly writes, and return its uuid."""

    @abc.abstractmethod
    def busy(self) -> str:
        """Start one that writes faster than the bandwidth."""

    @abc.abstractmethod
    def of_nova(self) -> str:
        """Start a calm one that belongs to Nova."""

    @abc.abstractmethod
    def leave(
        self,
        wanted: request.Request,
        source: events.EndState,
        destination: events.EndState,
    ) -> None:
        """Leave marked copies of an instance, with no job to hold them.

        :param source: what it finds of the one that runs there: running,
            paused for migration or absent
        :param destination: likewise
        """

    @abc.abstractmethod
    def destination_uri(self) -> str:
        """Say where the destination is reached."""

    @abc.abstractmethod
    def nowhere_uri(self) -> str:
        """Say where nobody answers."""

    def measured(self, instance: str) -> float:
        """Wait for the end of a measurement, and return what it found.

        :raises AssertionError: when it does not come
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            mib = self.source.dirtied_mib(instance)
            if mib is not None:
                return mib
        raise AssertionError('the measurement never ended')

    def wanted(
        self, instance: str, uri: str = '', **options: typing.Any
    ) -> request.Request:
        """Make a request to migrate *instance*, without auto-converge."""
        means = {
            'auto_converge': False,
            'bandwidth_mib_s': self.bandwidth_mib_s,
            **options,
        }
        return request.Request(
            migration_id=str(uuid.uuid4()),
            instance=instance,
            source='source',
            destination='destination',
            destination_uri=uri or self.destination_uri(),
            accepted_at=time.time(),
            options=request.Options(**means),
        )


class Told:
    """Events, as they come."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
        self.told: list[events.Event] = []

    def until(
        self,
        kind: type[Seen],
        holds: collections.abc.Callable[[Seen], bool] = lambda _: True,
    ) -> Seen:
        """Return the next event of a kind, and keep those before it.

        :raises AssertionError: when it does not come
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                event = self._events.get(
                    timeout=max(0.0, deadline - time.monotonic())
                )
            except queue.Empty:
                names = [type(one).__name__ for one in self.told]
                raise AssertionError(
                    f'no {kind.__name__} after {names}'
                ) from None
            self.told.append(event)
            if isinstance(event, kind) and holds(event):
                return event

    def has(self, kind: type[events.Event]) -> bool:
        """Tell whether an event of a kind came."""
        return any(isinstance(one, kind) for one in self.told)

    def one(self, kind: type[Seen]) -> Seen:
        """Return the only event of a kind that came.

        :raises ValueError: when it is not the only one
        """
        (found,) = [one for one in self.told if isinstance(one, kind)]
        return found

    def count(self) -> int:
        """Return how many have come, looked at or not."""
        return len(self.told) + self._events.qsize()


class Sights(Told):
    """What is seen of the next migration of an instance."""

    def __init__(self, source: driver.Driver, instance: str) -> None:
        super().__init__()
        self.observer = source.observe(instance, self._events.put)


class Story(Told):
    """A carrier driven by hand, and everything that it told."""

    def __init__(self, source: driver.Driver, wanted: request.Request) -> None:
        super().__init__()
        self.wanted = wanted
        self.carrier = source.carrier(wanted, self._events.put)

    def perform(self, *wishes: instructions.Instruction) -> None:
        """Give instructions."""
        for wish in wishes:
            self.carrier.perform(wish)

    def check(self) -> dict[str, events.Check]:
        """Run pre-flight, and return its checks by name."""
        self.perform(instructions.Check())
        return {one.name: one for one in self.until(events.Checked).checks}

    def failures(self) -> list[events.Check]:
        """Run pre-flight, and return what failed."""
        return [
            one
            for one in self.check().values()
            if one.verdict == events.Verdict.FAILED
        ]

    def ends(self) -> tuple[events.EndState, events.EndState]:
        """Look at both ends."""
        self.perform(instructions.LookAtEnds())
        seen = self.until(events.EndsSeen)
        return seen.source.state, seen.destination.state

    def until_ends(
        self, source: events.EndState, destination: events.EndState
    ) -> None:
        """Look at both ends until they are as wanted."""
        until = time.monotonic() + PATIENCE_SECONDS
        seen = self.ends()
        while seen != (source, destination):
            if time.monotonic() > until:
                raise AssertionError(f'the ends stay as they are: {seen}')
            seen = self.ends()
