"""The simulated driver: one host of a world, as its executor sees it."""

import collections.abc
import dataclasses
from typing import Self

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import driver
from kvm_balancer.virt import host_readings
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt import steady
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import readings
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world as worlds

VERSION = 'simulated 1.0'


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Which host of which world, and what may be moved away from it."""

    host: str
    manage: ownership.Manage = dataclasses.field(
        default_factory=ownership.Manage
    )


class SimulatedDriver(driver.Driver):
    """Samples a simulated host and migrates its instances."""

    def __init__(self, params: Params, stage: stages.Stage) -> None:
        self._params = params
        self._stage = stage
        self._read_at: float | None = None
        #: beginning and length of the windows that were asked for last
        self._windows: dict[str, tuple[float, int]] = {}

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        group = conf.simulated
        if not group.fleet:
            raise errors.ConfigurationError(
                'The simulated driver needs a fleet: set [simulated] fleet '
                'to a file of the form kvm-balancer/fleet/1.'
            )
        stage = stages.shared(
            group.fleet,
            worlds.Params(
                speed=group.speed,
                seed=group.seed,
                failure_rate=group.failure_rate,
            ),
        )
        names = stage.use(lambda world: world.host_names)
        if conf.host.name not in names:
            raise errors.ConfigurationError(
                f'The simulated fleet in {group.fleet} has no host '
                f'{conf.host.name}: set [host] name to one of its hosts.'
            )
        manage = ownership.Manage.from_words(
            conf.executor.manage,
            conf.executor.manage_names,
            conf.nova.dangerous_migrate_behind_nova,
        )
        return cls(Params(conf.host.name, manage), stage)

    def connect(self) -> None:
        self._stage.use(lambda world: self._host(world).answer())

    def read(self) -> driver.Reading:
        return self._stage.use(self._read)

    def view(self, instance: str) -> driver.InstanceView:
        return self._stage.use(lambda world: self._view(world, instance))

    def read_capacity(
        self, directories: collections.abc.Collection[str] = ()
    ) -> capacity.Capacity:
        """Tell of memory only: simulated instances have no images."""
        return self._stage.use(lambda world: self._host(world).read_capacity())

    def welcome(self, options: request.Options) -> tuple[events.Check, ...]:
        """Add nothing: simulated hosts have all that can be asked for."""
        return ()

    def traffic(self, address: str, incoming: bool) -> headroom.Traffic:
        """Tell of migrations only: nothing else is sent in the world."""
        carries = self.interface_mib_s(address, incoming)
        return headroom.Traffic('eth0', 0.0, carries)

    def interface_mib_s(self, address: str, incoming: bool) -> float | None:
        return self._stage.use(
            lambda world: self._host(world).facts.migration_mib_s * world.speed
        )

    def begin_measuring(self, instance: str, window_seconds: int) -> bool:
        def begin(world: worlds.World) -> bool:
            if not self._host(world).find(instance).executes:
                return False
            self._windows[instance] = (world.now, window_seconds)
            return True

        return self._stage.use(begin)

    def dirtied_mib(self, instance: str) -> float | None:
        def told(world: worlds.World) -> float | None:
            held = self._host(world).find(instance)
            if instance not in self._windows:
                return None
            begun_at, seconds = self._windows[instance]
            if world.now < begun_at + seconds:
                return None
            guest = held.instance.guest.at_speed(world.speed)
            return guest.dirtied_mib(seconds)

        return self._stage.use(told)

    def observe(
        self,
        instance: str,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> driver.Observer:
        told = sink if clock is None else _by(clock, self._stage, sink)
        return SimulatedObserver(
            self._stage, self._params.host, instance, told
        )

    def marked(self) -> tuple[marks.Marked, ...]:
        return self._stage.use(
            lambda world: tuple(
                marks.Marked(held.instance.id, held.mark)
                for held in self._host(world).all_held()
                if held.mark is not None
            )
        )

    def carrier(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> driver.Carrier:
        told = sink if clock is None else _by(clock, self._stage, sink)
        return SimulatedCarrier(self._params, self._stage, wanted, told)

    def close(self) -> None:
        """Nothing is held on to: the world goes on without this driver."""

    def _host(self, world: worlds.World) -> hosts.Host:
        return world.host(self._params.host)

    def _read(self, world: worlds.World) -> driver.Reading:
        host = self._host(world)
        host.answer()
        when = readings.Moment(
            world.now, self._read_at, world.age, world.speed
        )
        self._read_at = world.now
        instances = readings.read_instances(host, when, self._params.manage)
        facts = host.facts
        seen = host_readings.HostReading(
            cpus=facts.cpus,
            memory_mib=facts.memory_mib,
            cpu_overhead=facts.cpu_overhead,
            memory_free_mib=host.memory_free_mib,
        )
        return driver.Reading(
            taken_at=when.now,
            interval_seconds=(
                0.0 if when.since is None else when.now - when.since
            ),
            usage=host_readings.host_usage(seen, instances),
            instances=instances,
            cpus=facts.cpus,
            memory_mib=facts.memory_mib,
            cpu_model=facts.cpu_model,
            hypervisor_version=VERSION,
            library_version=VERSION,
        )

    def _view(self, world: worlds.World, instance: str) -> driver.InstanceView:
        held = self._host(world).find(instance)
        owner, reason = ownership.owner_of(
            held.instance.marks, self._params.manage
        )
        return driver.InstanceView(
            id=held.instance.id,
            name=held.instance.name,
            owner=str(owner),
            owner_reason=reason,
            end=hosts.end_of(held),
            vcpus=held.instance.vcpus,
            memory_mib=held.instance.guest.memory_mib,
            asks=held.instance.asks,
        )


class SimulatedObserver(driver.Observer):
    """Hears what the migrations of one instance are told."""

    def __init__(
        self,
        stage: stages.Stage,
        host: str,
        instance: str,
        sink: driver.Sink,
    ) -> None:
        self._stage = stage
        self._sink = sink
        stage.watch((host, instance), sink)

    def close(self) -> None:
        self._stage.unwatch(self._sink)


class SimulatedCarrier(driver.Carrier):
    """One migration away from a simulated host."""

    def __init__(
        self,
        params: Params,
        stage: stages.Stage,
        wanted: request.Request,
        sink: driver.Sink,
    ) -> None:
        self._params = params
        self._stage = stage
        self._wanted = wanted
        self._sink = sink
        stage.attach(wanted.migration_id, sink)

    def perform(self, instruction: instructions.Instruction) -> None:
        self._stage.perform(
            self._params.host, self._wanted, self._params.manage, instruction
        )

    def close(self) -> None:
        self._stage.detach(self._wanted.migration_id, self._sink)


def _by(
    clock: steady.Clock, stage: stages.Stage, sink: driver.Sink
) -> driver.Sink:
    """Tell *sink* the times of the world as *clock* would have shown them."""
    ahead = clock() - stage.use(lambda world: world.now)
    return lambda event: sink(dataclasses.replace(event, at=event.at + ahead))
