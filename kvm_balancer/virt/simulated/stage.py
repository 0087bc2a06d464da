"""A simulated world on the stage of real time, for drivers of its hosts.

Owns the lock, the clock and the one thread that wakes up when something is
due in the world, and at no other time. The drivers of one process that are
made of the same fleet file stand on the same stage.
"""

import collections.abc
import os
import pathlib
import threading
import time
from typing import TypeVar
import weakref

from kvm_balancer import errors
from kvm_balancer.messages import fleet_document
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import driver
from kvm_balancer.virt import ownership
from kvm_balancer.virt import steady
from kvm_balancer.virt.simulated import fleets
from kvm_balancer.virt.simulated import scene
from kvm_balancer.virt.simulated import world as worlds

Answer = TypeVar('Answer')

#: A clock may be moved while the thread waits for a moment of it.
_LONGEST_WAIT_SECONDS = 5.0

#: What hypervisors tell of a job to whoever listens.
OF_JOBS = (
    events.Progressed,
    events.PassEnded,
    events.SourceStopped,
    events.PostCopyBegun,
    events.PostCopyBroke,
    events.JobSettled,
    events.CallReturned,
)


class Stage:
    """One world, whose time is that of *clock*. Threads may use it at once.

    :param clock: in the time of the world; None for one that nobody sets
    :param paced: a thread follows the clock; without, time goes on only
        when the world is touched or :meth:`advance` is called
    """

    def __init__(
        self,
        world: worlds.World,
        clock: steady.Clock | None = None,
        paced: bool = True,
    ) -> None:
        self._world = world
        self._clock = clock or steady.SteadyClock()
        self._sinks: dict[str, driver.Sink] = {}
        #: who watches what leaves a host, by host and instance
        self._watchers: list[tuple[tuple[str, str], driver.Sink]] = []
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        if paced:
            # holds on to the parts and not to the stage, which may be let
            # go of by its last driver
            threading.Thread(
                target=_follow,
                args=(weakref.ref(self), self._changed),
                name='simulated world',
                daemon=True,
            ).start()

    def use(
        self, work: collections.abc.Callable[[worlds.World], Answer]
    ) -> Answer:
        """Do something with the world as it is now."""
        with self._changed:
            self._advance()
            answer = work(self._world)
            # an instruction may be answered at once
            self._deliver(self._world.advance(self._world.now))
            self._changed.notify_all()
            return answer

    def attach(self, migration_id: str, sink: driver.Sink) -> None:
        """Let a sink be told of a migration."""
        with self._changed:
            self._sinks[migration_id] = sink

    def detach(self, migration_id: str, sink: driver.Sink) -> None:
        """Tell it no more."""
        with self._changed:
            if self._sinks.get(migration_id) is sink:
                del self._sinks[migration_id]
                self._world.forget(migration_id)

    def watch(self, leaving: tuple[str, str], sink: driver.Sink) -> None:
        """Let a sink hear of the job that takes an instance off a host.

        :param leaving: the host and the instance
        """
        with self._changed:
            self._watchers.append((leaving, sink))

    def unwatch(self, sink: driver.Sink) -> None:
        """Tell it no more."""
        with self._changed:
            self._watchers = [
                one for one in self._watchers if one[1] is not sink
            ]

    def perform(
        self,
        host: str,
        wanted: request.Request,
        manage: ownership.Manage,
        instruction: instructions.Instruction,
    ) -> None:
        """Begin to carry out an instruction on its source *host*."""
        self.use(
            lambda world: world.perform(host, wanted, manage, instruction)
        )

    def advance(self) -> float:
        """Let the world catch up with the clock.

        :returns: seconds until something happens in it; infinite where
            nothing will
        """
        with self._changed:
            self._advance()
            return self._world.next_at - self._clock()

    def close(self) -> None:
        """Let the world stand still."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True when the world stands still for good."""
        return self._closed

    def _advance(self) -> None:
        if not self._closed:
            self._deliver(self._world.advance(self._clock()))

    def _deliver(self, told: collections.abc.Iterable[scene.Told]) -> None:
        for one in told:
            sink = self._sinks.get(one.migration_id)
            if sink is not None:
                sink(one.event)
            leaving = self._world.leaving(one.migration_id)
            if leaving is None or not isinstance(one.event, OF_JOBS):
                continue
            for wanted, watcher in tuple(self._watchers):
                if wanted == leaving:
                    watcher(one.event)


def _follow(seen: weakref.ref[Stage], changed: threading.Condition) -> None:
    """Wake a stage when something is due on it, as long as it is there."""
    while True:
        with changed:
            stage = seen()
            if stage is None or stage.closed:
                return
            wait = stage.advance()
            del stage
            if wait > 0.0:
                changed.wait(min(wait, _LONGEST_WAIT_SECONDS))


_SHARED: weakref.WeakValueDictionary[str, Stage] = (
    weakref.WeakValueDictionary()
)
_SHARING = threading.Lock()


def shared(path: str | os.PathLike[str], params: worlds.Params) -> Stage:
    """Return the stage of the fleet in a file, the same for all who ask.

    :param params: taken from who asks first
    :raises ConfigurationError: when the file is no fleet document
    """
    file = pathlib.Path(path)
    with _SHARING:
        found = _SHARED.get(str(file.absolute()))
        if found is None:
            found = Stage(_read(file, params))
            _SHARED[str(file.absolute())] = found
        return found


def _read(file: pathlib.Path, params: worlds.Params) -> worlds.World:
    try:
        document = file.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
    else:
        try:
            fleet = fleet_document.decode(document)
        except errors.DocumentError as error:
            why = str(error)
        else:
            return fleets.make_world(fleet, params, time.time())
    raise errors.ConfigurationError(
        f'The simulated fleet in {file} cannot be used: {why}. '
        'See [simulated] fleet.'
    )
