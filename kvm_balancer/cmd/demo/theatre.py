"""The real services, in one process, around a simulated fleet.

An agent and an executor for each host, as they run in a data centre, with
configuration files of their own; only the broker is in memory, the
database a file that is thrown away, and the hypervisor a simulated one.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
import textwrap
from typing import Protocol
from typing import Self

from oslo_config import cfg

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import configuration
from kvm_balancer.messages import fleet_document
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import records
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world as worlds

_BOTH = """
    [DEFAULT]
    transport_url = fake://
"""
_AGENT = """
    [agent]
    mode = automatic
    interval_seconds = 1.0
    instance_cooldown_seconds = 30
    host_cooldown_seconds = 0
    max_migrations = 8

    [relieve]
    limit = {limit}
    hold_seconds = 3

    [spread]
    start = {start}
    target = {aim}
    hold_seconds = 3

    [samples]
    silent_after_seconds = 10
    ewma_seconds = 2
    batch_seconds = 0.05

    [database]
    connection = sqlite:///{folder}/agent.sqlite
"""
_EXECUTOR = """
    [host]
    name = {name}
    memory_reserved_mib = {reserved}
    migration_mib_s = {bandwidth}

    [executor]
    driver = simulated
    manage = all
    sample_interval_seconds = 0.5
    state_path = {folder}/{name}.sqlite

    [simulated]
    fleet = {folder}/fleet.json
    seed = {seed}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Goals:
    """What the agent is to reach.

    :ivar limit: CPU load that no host is to be over
    :ivar start: spread of CPU load over which it evens load out
    :ivar target: spread that the fleet is to stay under then
    :ivar aim: spread down to which it goes: less than the target, as loads
        swing on when the last move is made
    """

    limit: float = 0.80
    start: float = 0.09
    target: float = 0.06
    aim: float = 0.045


class Service(Protocol):
    """An agent or an executor."""

    def start(self) -> bool:
        """Begin."""

    def stop(self) -> None:
        """End in order."""


class Theatre(contextlib.ExitStack):
    """All services; up inside of a ``with`` block, gone after it.

    :ivar agent: asks the agent over the bus, as the command line does
    """

    agent: agent_client.AgentClient

    def __init__(self, fleet: columns.Fleet, goals: Goals, seed: int) -> None:
        super().__init__()
        self._fleet = fleet
        self._goals = goals
        self._seed = seed

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._raise_curtain()
        except BaseException:
            self.close()
            raise
        return self

    def executions(self) -> dict[str, list[str]]:
        """Return on which hosts each instance really is."""
        return self._stage.use(lambda world: world.executions())

    def _raise_curtain(self) -> None:
        # The parts take a second to load, which --help has no use for.
        from kvm_balancer.service import agent_service
        from kvm_balancer.service import executor_service

        folder = pathlib.Path(
            self.enter_context(
                tempfile.TemporaryDirectory(prefix='kvm-balancer-demo-')
            )
        )
        (folder / 'none').mkdir()
        self._folder = folder
        document = folder / 'fleet.json'
        document.write_bytes(fleet_document.encode(self._fleet))
        # every executor finds this stage by the name of the fleet's file
        self._stage = stages.shared(document, worlds.Params(seed=self._seed))
        self.callback(self._stage.close)
        agent_conf = self._configure('agent', _AGENT, **self._goal_values())
        self._make_database(agent_conf)
        agent = agent_service.AgentService(agent_conf)
        services: list[Service] = [agent]
        for host in records.to_records(self._fleet)[0]:
            conf = self._configure(
                host.name,
                _EXECUTOR,
                name=host.name,
                reserved=host.memory_reserved_mib,
                bandwidth=host.migration_mib_s,
                seed=self._seed,
            )
            services.append(executor_service.ExecutorService(conf))
        for one in services:
            one.start()
            self.callback(one.stop)
        self.agent = self.enter_context(agent_client.connected(agent_conf))

    def _goal_values(self) -> dict[str, object]:
        return dataclasses.asdict(self._goals)

    def _configure(
        self, service: str, text: str, **values: object
    ) -> cfg.ConfigOpts:
        """Write the configuration file of one service, and read it."""
        file = self._folder / f'{service}.conf'
        written = textwrap.dedent(_BOTH) + textwrap.dedent(text)
        file.write_text(written.format(folder=self._folder, **values))
        return configuration.load(
            f'demo-{service}', [str(file)], [str(self._folder / 'none')]
        )

    def _make_database(self, conf: cfg.ConfigOpts) -> None:
        from kvm_balancer.store import database
        from kvm_balancer.store import schema

        made = database.Database(conf)
        try:
            schema.upgrade(made)
        finally:
            made.close()
