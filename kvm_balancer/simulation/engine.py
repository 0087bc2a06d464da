"""Virtual time: what happens, is seen, is decided and is carried out.

Between two looks at the fleet its load stands still, and migrations end and
begin by the second. A look sees what was used since the one before: a sample
tells of the time up to its moment, and nobody knows yet what comes.
"""

import collections.abc
import math

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import terms as termed
from kvm_balancer.simulation import air as airs
from kvm_balancer.simulation import load as loads
from kvm_balancer.simulation import mind as minds
from kvm_balancer.simulation import record as records
from kvm_balancer.simulation import scenario as scenarios
from kvm_balancer.simulation import senses as sensing
from kvm_balancer.simulation import world as worlds

#: Makes the load of a fleet: of all instances that ever exist.
LoadOf = collections.abc.Callable[[columns.Instances], loads.Load]

#: What ends within it ends together: the agent looks no more often.
_TICK_SECONDS = 1.0


def run(
    fleet: columns.Fleet,
    load_of: LoadOf,
    agent: minds.Agent,
    scenario: scenarios.Scenario,
    progress: collections.abc.Callable[[float], None] | None = None,
) -> records.Record:
    """Simulate *scenario*; the same arguments, the same record.

    :param progress: hears how much of it is done, 0 to 1
    """
    simulation = _Simulation(fleet, load_of, agent, scenario)
    looks = simulation.looks
    for number in range(looks):
        simulation.step(number * scenario.step_seconds)
        if progress is not None:
            progress((number + 1) / looks)
    return simulation.recorder.finish()


class _Simulation:
    """The parts of a simulation, and how they go on together."""

    def __init__(
        self,
        fleet: columns.Fleet,
        load_of: LoadOf,
        agent: minds.Agent,
        scenario: scenarios.Scenario,
    ) -> None:
        self._scenario = scenario
        self.looks = max(
            1, math.ceil(scenario.seconds / scenario.step_seconds)
        )
        self._world = worlds.World(fleet, scenario)
        base = self._world.base
        self._load = load_of(base.instances)
        #: since the last look; before the beginning all was as it begins
        self._used = self._load.cpu_usage(scenario.start)
        self._senses = sensing.Senses(self._world, agent.ingest, scenario)
        self._air = airs.Air(
            self._world,
            termed.Terms(base, agent.template.migration),
            scenario,
        )
        watching = scenario.watch_hours * scenarios.HOUR_SECONDS
        self._acts_from = watching
        self.recorder = records.Recorder(
            self._world,
            self.looks,
            scenario.limit,
            scenario.step_seconds,
            watching,
        )
        self._mind = minds.Mind(
            agent,
            self._air,
            self.recorder,
            len(base.instances),
            scenario.start,
        )

    def step(self, now: float) -> None:
        """Go on from one look to the next."""
        # of whom there has been until now; an arrival has nothing to tell
        self._senses.take(self._used, now)
        self._world.happen(now)
        self._land(self._air.lose(now))
        moment = self._scenario.start + now
        usage = self._load.cpu_usage(moment)
        self._world.live(self._load.memory(moment))
        fleet = self._senses.fleet(now)
        self.recorder.look(usage, len(self._air.flights), now)
        if now >= self._acts_from and self._mind.step(fleet, now):
            self._go_on(usage)
        self._fly(fleet, usage, now + self._scenario.step_seconds)
        self._used = usage

    def _fly(
        self, fleet: columns.Fleet, usage: columns.Floats, until: float
    ) -> None:
        """Let migrations end, and others begin, until the next look."""
        while True:
            change = self._air.next_change()
            if change > until:
                break
            at = min(until, math.ceil(change / _TICK_SECONDS) * _TICK_SECONDS)
            landed = self._air.advance(at)
            self._land(landed)
            if landed:
                self._mind.carry_on(self._seen(fleet), at)
                self._go_on(usage)
        self._land(self._air.advance(until))

    def _go_on(self, usage: columns.Floats) -> None:
        """Go on with the migrations that are under way from now on."""
        self._air.pace(usage)
        self.recorder.under_way(len(self._air.flights))

    def _land(self, landed: collections.abc.Sequence[airs.Landing]) -> None:
        for one in landed:
            if one.completed:
                self._world.place(one.flight.instance, one.flight.destination)
            self._mind.landed(one)

    def _seen(self, fleet: columns.Fleet) -> columns.Fleet:
        """Return *fleet* with its instances where they are by now."""
        host = self._world.host[self._world.rows]
        moved = np.flatnonzero(host != fleet.instances.host)
        return fleet.relocated(moved.astype(np.int32), host[moved])
