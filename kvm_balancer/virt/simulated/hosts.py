"""Simulated hosts, instances, and what a host has of an instance. Pure."""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration.options import wishes
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A guest, wherever it is.

    :ivar load: what it wants of the CPUs
    :ivar marks: what it says of itself, for who may move it
    :ivar asks: what it asks of its migrations
    """

    id: str
    name: str
    vcpus: float
    guest: memory.Guest
    load: load.Load
    marks: ownership.Marks
    disk_gib: float = 0.0
    asks: wishes.Wishes = ()


@dataclasses.dataclass(frozen=True, slots=True)
class HostFacts:
    """What a simulated host is.

    :ivar cpu_overhead: cores in use by anything but instances
    :ivar migration_mib_s: of its migration network, each way
    :ivar cpu_accepts: models of other hosts whose guests can run here
    """

    name: str
    cpus: float
    memory_mib: float
    memory_reserved_mib: float = 0.0
    cpu_overhead: float = 0.0
    migration_mib_s: float = 1120.0
    cpu_model: str = ''
    cpu_accepts: tuple[str, ...] = ()

    def runs(self, model: str) -> bool:
        """Say whether a guest of a host of *model* can run here."""
        here = self.cpu_model
        return not (here and model) or model in (here, *self.cpu_accepts)


@dataclasses.dataclass(slots=True)
class Holding:
    """What one host has of one instance.

    :ivar executes: its virtual CPUs run here
    :ivar since: when it began to run here, in world time
    :ivar arriving: a migration brings it here
    :ivar throttle_percent: how much auto-converge slows it down
    :ivar mark: of the migration that it is in
    """

    instance: Instance
    state: events.EndState
    executes: bool
    since: float
    job_active: bool = False
    throttle_percent: int = 0
    arriving: bool = False
    mark: marks.Mark | None = None

    def cores(self, at: float) -> float:
        """Return the cores that it wants here."""
        if not self.executes:
            return 0.0
        share = 1.0 - self.throttle_percent / 100.0
        return self.instance.load.cores(at) * share


class Host:
    """One simulated host.

    :ivar reachable: False while nobody can ask it anything
    """

    def __init__(self, facts: HostFacts) -> None:
        self.facts = facts
        self.reachable = True
        self.holdings: dict[str, Holding] = {}

    @property
    def memory_free_mib(self) -> float:
        """What is free for instances to come; guests hold all they have."""
        held = sum(
            one.instance.guest.memory_mib for one in self.holdings.values()
        )
        usable = self.facts.memory_mib - self.facts.memory_reserved_mib
        return max(0.0, usable - held)

    def read_capacity(self) -> capacity.Capacity:
        """Say what memory it has, and who is in it.

        What arrives here has all of its memory at once.

        :raises HypervisorUnreachable: when it cannot be asked
        """
        self.answer()
        occupants = tuple(
            capacity.Occupant(
                one.instance.id, one.instance.guest.memory_mib, one.arriving
            )
            for one in self.holdings.values()
        )
        filling = sum(one.memory_mib for one in occupants if one.arriving)
        return capacity.Capacity(
            total_mib=self.facts.memory_mib,
            free_mib=self.memory_free_mib + filling,
            occupants=occupants,
        )

    def share(self, at: float) -> float:
        """Return which share of what they want its instances get."""
        wanted = sum(one.cores(at) for one in self.holdings.values())
        cores = max(0.0, self.facts.cpus - self.facts.cpu_overhead)
        return 1.0 if wanted <= cores else cores / wanted

    def find(self, instance: str) -> Holding:
        """Return what it has of an instance, by uuid or by name.

        :raises HypervisorUnreachable: when it cannot be asked
        :raises NotFound: when it has nothing of it
        """
        self.answer()
        held = self.holdings.get(instance)
        if held is not None:
            return held
        for one in self.holdings.values():
            if one.instance.name == instance:
                return one
        raise errors.NotFound(
            f'{self.facts.name} has no instance {instance}: see where it is '
            'now: kvm-balancer instances'
        )

    def all_held(self) -> tuple[Holding, ...]:
        """Return what it has of all instances.

        :raises HypervisorUnreachable: when it cannot be asked
        """
        self.answer()
        return tuple(self.holdings.values())

    def answer(self) -> None:
        """Answer at all.

        :raises HypervisorUnreachable: when it cannot be asked
        """
        if not self.reachable:
            raise errors.HypervisorUnreachable(
                f'The simulated host {self.facts.name} does not answer.'
            )

    def look(self, instance: str) -> events.End:
        """Say what it has of an instance, as an end of a migration."""
        try:
            held = self.find(instance)
        except errors.NotFound as error:
            return events.End(events.EndState.ABSENT, detail=str(error))
        except errors.HypervisorUnreachable as error:
            return events.End(events.EndState.UNREACHABLE, detail=str(error))
        return end_of(held)


def end_of(held: Holding) -> events.End:
    """Say what a holding is as an end of a migration."""
    return events.End(held.state, held.job_active, held.state.value)
