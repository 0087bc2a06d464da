"""A fleet in memory: hosts, instances, and migrations between them.

Pure: it has no clock and no thread. Who owns it says how far time has gone
and is told what happened meanwhile, so that the same world runs in real
time behind a driver and through weeks in a moment::

    world.perform('host-1', wanted, manage, instructions.Start())
    while world.next_at < math.inf:
        for told in world.advance(world.next_at):
            ...

A world of double speed has hardware of double speed: its network and its
guests' memory are twice as fast, and everything takes half as long.
"""

import collections.abc
import dataclasses
import urllib.parse

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import checks
from kvm_balancer.virt.simulated import failures
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import journey
from kvm_balancer.virt.simulated import mending
from kvm_balancer.virt.simulated import scene
from kvm_balancer.virt.simulated import steering

SCHEME = 'simulated'


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How a world behaves.

    :ivar speed: how many times as fast as described its hardware is
    :ivar seed: of whatever is drawn
    :ivar failure_rate: share of migrations that go wrong, 0 to 1
    """

    speed: float = 1.0
    seed: int = 0
    failure_rate: float = 0.0
    pace: scene.Pace = dataclasses.field(default_factory=scene.Pace)


class World:
    """Hosts, instances and migrations, at one moment.

    :ivar dice: decides which migrations go wrong
    """

    def __init__(self, params: Params | None = None, now: float = 0.0) -> None:
        self._params = params or Params()
        self.dice = failures.Dice(self._params.seed, self._params.failure_rate)
        self._scene = scene.Scene(
            now,
            _paced(self._params.pace, self._params.speed),
            self.dice,
            self._params.speed,
        )
        self._began_at = now
        self._journeys: dict[str, journey.Journey] = {}

    # -- what there is -----------------------------------------------------

    @property
    def now(self) -> float:
        """The moment it is at, in seconds."""
        return self._scene.now

    @property
    def age(self) -> float:
        """Seconds since it began, as its loads count them."""
        return (self.now - self._began_at) * self._params.speed

    @property
    def speed(self) -> float:
        """How many times as fast as described its hardware is."""
        return self._params.speed

    @property
    def host_names(self) -> tuple[str, ...]:
        """Its hosts, in the order in which they were added."""
        return tuple(self._scene.hosts)

    def add_host(self, facts: hosts.HostFacts) -> None:
        """Add a host without instances."""
        self._scene.hosts[facts.name] = hosts.Host(facts)

    def add_instance(self, instance: hosts.Instance, host: str) -> None:
        """Let an instance run on a host.

        :raises HypervisorUnreachable: when there is no such host
        """
        self._scene.host(host).holdings[instance.id] = hosts.Holding(
            instance, events.EndState.RUNNING, True, self.now
        )

    def host(self, name: str) -> hosts.Host:
        """Return a host.

        :raises HypervisorUnreachable: when there is none of that name
        """
        return self._scene.host(name)

    def executions(self) -> dict[str, list[str]]:
        """Return on which hosts each instance runs, or is kept paused.

        What is on its way to a host, and has not started there, does not
        count. Every instance should have one.
        """
        found: dict[str, list[str]] = {}
        for name, host in self._scene.hosts.items():
            for uuid, held in host.holdings.items():
                ran = found.setdefault(uuid, [])
                if held.executes or held.state is events.EndState.PAUSED:
                    ran.append(name)
        return found

    # -- what befalls it ---------------------------------------------------

    def set_reachable(self, host: str, reachable: bool) -> None:
        """Cut a host off, streams and all, or let it back."""
        self._scene.host(host).reachable = reachable
        if not reachable:
            for stream in self._scene.network.through(host):
                if isinstance(stream, journey.Journey):
                    stream.break_link()

    def lose_sight(self, migration_id: str) -> None:
        """Let whoever carries a migration lose sight of it."""
        self._journeys[migration_id].lose_sight()

    def abandon(self, migration_id: str) -> None:
        """Let both hypervisors forget a migration, and leave its copies."""
        self._journeys[migration_id].abandon()

    def break_stream(self, migration_id: str) -> None:
        """Break the stream of a migration."""
        self._journeys[migration_id].break_link()

    def set_bandwidth(self, host: str, mib_s: float) -> None:
        """Let a host's migration network carry another amount from now on."""
        changed = self._scene.host(host)
        changed.facts = dataclasses.replace(
            changed.facts, migration_mib_s=mib_s
        )
        for stream in self._scene.network.through(host):
            self._scene.network.change(stream, stream.limit_mib_s)

    @property
    def next_at(self) -> float:
        """When something happens next; infinite where nothing will."""
        return self._scene.agenda.next_at

    def advance(self, to: float) -> tuple[scene.Told, ...]:
        """Let time go on until *to*, and return what is to be told.

        A clock that was set back is waited for.
        """
        around = self._scene
        while (entry := around.agenda.take(to)) is not None:
            around.now = max(around.now, entry.at)
            entry.action()
        around.now = max(around.now, to)
        told, around.told = tuple(around.told), []
        return told

    # -- migrations --------------------------------------------------------

    def perform(
        self,
        host: str,
        wanted: request.Request,
        manage: ownership.Manage,
        instruction: instructions.Instruction,
    ) -> None:
        """Begin to carry an instruction out, on the source *host*.

        :raises MigrationError: when it is none for a carrier
        """
        match instruction:
            case instructions.Check():
                self._answer(lambda: self._check(host, wanted, manage))
            case instructions.LookAtEnds(delay_seconds=delay):
                self._answer(lambda: self._look(host, wanted), delay)
            case instructions.Mend() | instructions.Unmark():
                self._answer(
                    lambda: self._touch(host, wanted, manage, instruction)
                )
            case instructions.Reserve():
                self._scene.after(0.0, lambda: self._reserve(wanted))
            case instructions.Release():
                pass
            case _:
                self._steer(host, wanted, instruction)

    def _steer(
        self,
        host: str,
        wanted: request.Request,
        instruction: instructions.Instruction,
    ) -> None:
        try:
            steering.carry_out(
                self._journey(host, wanted), wanted, instruction
            )
        except errors.HypervisorUnreachable:
            # It may have been carried out all the same: that is no refusal.
            return
        except (errors.HypervisorError, errors.NotFound) as error:
            self._refuse(wanted, instruction, error)

    def _touch(
        self,
        host: str,
        wanted: request.Request,
        manage: ownership.Manage,
        instruction: instructions.Instruction,
    ) -> None:
        """Do something to what a migration has left."""
        ends = (host, destination_of(wanted))
        told: events.Event
        try:
            if isinstance(instruction, instructions.Mend):
                text = mending.mend(
                    self._scene, wanted, ends, manage, instruction
                )
                told = events.Mended(at=self.now, cause='mended', text=text)
            else:
                mending.unmark(self._scene, wanted, ends)
                told = events.Unmarked(at=self.now, cause='unmarked')
        except errors.KVMBalancerError as error:
            self._refuse(wanted, instruction, error)
            return
        self._scene.tell(wanted.migration_id, told)

    def _refuse(
        self,
        wanted: request.Request,
        instruction: instructions.Instruction,
        error: errors.KVMBalancerError,
    ) -> None:
        name = type(instruction).__name__
        self._scene.tell(
            wanted.migration_id,
            events.Refused(
                at=self.now, cause=name, instruction=name, text=str(error)
            ),
        )

    def _journey(self, host: str, wanted: request.Request) -> journey.Journey:
        found = self._journeys.get(wanted.migration_id)
        if found is None:
            found = journey.Journey(
                self._scene, wanted, host, destination_of(wanted)
            )
            self._journeys[wanted.migration_id] = found
        return found

    def leaving(self, migration_id: str) -> tuple[str, str] | None:
        """Return host and instance that a migration began with, if it did."""
        found = self._journeys.get(migration_id)
        return None if found is None else (found.source, found.instance)

    def forget(self, migration_id: str) -> None:
        """Forget a migration of which nobody wants to be told any more.

        One that is under way goes on, and may be followed again.
        """
        found = self._journeys.get(migration_id)
        if found is not None and not found.under_way:
            del self._journeys[migration_id]

    def _answer(
        self,
        answer: collections.abc.Callable[[], None],
        delay_seconds: float = 0.0,
    ) -> None:
        self._scene.after(delay_seconds + self._scene.pace.answer, answer)

    def _check(
        self, host: str, wanted: request.Request, manage: ownership.Manage
    ) -> None:
        found = checks.check(
            self._scene, wanted, (host, destination_of(wanted)), manage
        )
        self._scene.tell(
            wanted.migration_id,
            events.Checked(at=self.now, cause='pre-flight', checks=found),
        )

    def _reserve(self, wanted: request.Request) -> None:
        """Answer for the executors, where a machine has no shell around it.

        Time is virtual then, and nobody else reserves.
        """
        self._scene.tell(
            wanted.migration_id,
            events.Reserved(
                at=self.now,
                cause='a world to itself',
                checks=(events.Check('reservation', events.Verdict.PASSED),),
            ),
        )

    def _look(self, host: str, wanted: request.Request) -> None:
        self._scene.tell(
            wanted.migration_id,
            events.EndsSeen(
                at=self.now,
                cause='look at both ends',
                source=self._scene.look(host, wanted.instance),
                destination=self._scene.look(
                    destination_of(wanted), wanted.instance
                ),
            ),
        )


def address(host: str) -> str:
    """Return how other simulated hosts reach a host."""
    return f'{SCHEME}://{urllib.parse.quote(host)}/'


def destination_of(wanted: request.Request) -> str:
    """Return the name of the host that a request leads to."""
    parts = urllib.parse.urlsplit(wanted.destination_uri)
    if parts.scheme == SCHEME:
        # a name of upper case has to stay one
        return urllib.parse.unquote(parts.netloc)
    return wanted.destination


def _paced(pace: scene.Pace, speed: float) -> scene.Pace:
    """Let everything but the looks go faster."""
    return dataclasses.replace(
        pace,
        answer=pace.answer / speed,
        prepare=pace.prepare / speed,
        switch=pace.switch / speed,
    )
