"""The simulated driver keeps the contract that the libvirt driver keeps."""

import dataclasses
import itertools
import unittest
import uuid

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import driver
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world as worlds
from tests.contract import driver_contract
from tests.contract import ground

#: As small as real test guests, so that a pass takes a tenth of a second.
_MEMORY_MIB = 64.0


class SimulatedGround(ground.Ground):
    """Two hosts of one simulated world, in real time."""

    bandwidth_mib_s = 400

    def __init__(self) -> None:
        world = worlds.World()
        for name in ('source', 'destination'):
            world.add_host(
                hosts.HostFacts(
                    name=name, cpus=8.0, memory_mib=8192.0, cpu_overhead=0.5
                )
            )
        self._stage = stages.Stage(world)
        self._numbers = itertools.count(1)
        self.source, self.destination = (
            self._driver(name) for name in ('source', 'destination')
        )

    def close(self) -> None:
        self._stage.close()

    def unread(self) -> driver.SimulatedDriver:
        return self._driver('source')

    def _driver(self, name: str) -> driver.SimulatedDriver:
        manage = ownership.Manage(ownership.Rule.ALL)
        return driver.SimulatedDriver(driver.Params(name, manage), self._stage)

    def calm(self) -> str:
        return self._start(dirty_rate_mib_s=1.0)

    def busy(self) -> str:
        return self._start(dirty_rate_mib_s=4000.0)

    def of_nova(self) -> str:
        return self._start(dirty_rate_mib_s=1.0, nova=True)

    def leave(
        self,
        wanted: request.Request,
        source: events.EndState,
        destination: events.EndState,
    ) -> None:
        def place(world: worlds.World) -> None:
            here = world.host('source').holdings
            there = world.host('destination').holdings
            held = here.pop(wanted.instance)
            held.mark = marks.of(wanted)
            for holdings, state in ((here, source), (there, destination)):
                if state is not events.EndState.ABSENT:
                    holdings[wanted.instance] = dataclasses.replace(
                        held,
                        state=state,
                        executes=state is events.EndState.RUNNING,
                    )

        self._stage.use(place)

    def destination_uri(self) -> str:
        return worlds.address('destination')

    def nowhere_uri(self) -> str:
        return worlds.address('nowhere')

    def _start(self, dirty_rate_mib_s: float, nova: bool = False) -> str:
        name = f'guest-{next(self._numbers)}'
        instance = hosts.Instance(
            id=str(uuid.uuid4()),
            name=name,
            vcpus=1.0,
            guest=memory.Guest(
                _MEMORY_MIB, _MEMORY_MIB, dirty_rate_mib_s, _MEMORY_MIB / 2
            ),
            load=load.Steady(0.5),
            marks=ownership.Marks(name, nova=nova),
        )
        self._stage.use(lambda world: world.add_instance(instance, 'source'))
        return instance.id


class SimulatedContractTest(driver_contract.DriverContract, unittest.TestCase):
    def setUp(self):
        self.ground = SimulatedGround()
        self.addCleanup(self.ground.close)
