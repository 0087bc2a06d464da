"""A small simulated fleet for tests of the services."""

import itertools
import uuid

from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import driver
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world


class World:
    """Hosts by name, 100 times faster than time."""

    def __init__(self, *names, rule=ownership.Rule.ALL):
        made = world.World(world.Params(speed=100.0))
        for name in names:
            made.add_host(
                hosts.HostFacts(
                    name=name, cpus=8.0, memory_mib=8192.0, cpu_overhead=0.5
                )
            )
        self._numbers = itertools.count(1)
        self._manage = ownership.Manage(rule)
        self.stage = stages.Stage(made)

    def driver(self, name):
        return driver.SimulatedDriver(
            driver.Params(name, self._manage), self.stage
        )

    def uri(self, name):
        return world.address(name)

    def start(self, host, cores=1.0, dirty_rate_mib_s=1.0, nova=False):
        """Start an instance of 512 MiB; return its id."""
        name = f'guest-{next(self._numbers)}'
        instance = hosts.Instance(
            id=str(uuid.uuid4()),
            name=name,
            vcpus=4.0,
            guest=memory.Guest(512.0, 512.0, dirty_rate_mib_s, 256.0),
            load=load.Steady(cores),
            marks=ownership.Marks(name, nova=nova),
        )
        self.stage.use(lambda it: it.add_instance(instance, host))
        return instance.id

    def close(self):
        self.stage.close()
