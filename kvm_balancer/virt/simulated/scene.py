"""What all migrations of a simulated world share. Pure.

The time, the hosts, the network between them, what is due when, and what
has to be told to whom.
"""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.simulated import agenda
from kvm_balancer.virt.simulated import failures
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import network


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How long things take that are not the copy of memory, in seconds.

    :ivar answer: a question to one end
    :ivar prepare: from the start of the call to the first byte
    :ivar switch: stopping, the state of the devices, starting
    :ivar progress: between two looks at a running job; 0 for none
    """

    answer: float = 0.005
    prepare: float = 0.08
    switch: float = 0.02
    progress: float = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """An event that a migration is to be told."""

    migration_id: str
    event: events.Event


class Scene:
    """The shared state; whoever advances the time owns it.

    :ivar now: in world time, seconds
    :ivar told: what has to be told, oldest first
    """

    def __init__(
        self, now: float, pace: Pace, dice: failures.Dice, speed: float
    ) -> None:
        self.now = now
        self.pace = pace
        self.dice = dice
        self.speed = speed
        self.hosts: dict[str, hosts.Host] = {}
        self.agenda = agenda.Agenda()
        self.network = network.Network(self._capacity)
        self.told: list[Told] = []

    def host(self, name: str) -> hosts.Host:
        """Return a host by name.

        :raises HypervisorUnreachable: when there is none: nobody answers
        """
        try:
            return self.hosts[name]
        except KeyError:
            raise errors.HypervisorUnreachable(
                f'Nobody answers at {name}: the simulated fleet has no host '
                'of that name.'
            ) from None

    def after(self, seconds: float, action: agenda.Action) -> agenda.Entry:
        """Let *action* happen in a while."""
        return self.agenda.put(self.now + seconds, action)

    def tell(self, migration_id: str, event: events.Event) -> None:
        """Note an event for a migration."""
        self.told.append(Told(migration_id, event))

    def look(self, host: str, instance: str) -> events.End:
        """Look at one end; what does not answer is not absent."""
        try:
            return self.host(host).look(instance)
        except errors.HypervisorUnreachable as error:
            return events.End(events.EndState.UNREACHABLE, detail=str(error))

    def _capacity(self, name: str) -> float:
        return self.hosts[name].facts.migration_mib_s * self.speed
