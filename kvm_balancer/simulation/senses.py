"""What the agent sees of the simulated fleet: samples, windows, a fleet.

Readings go through the windows of the real ingest, so that a fleet has the
averages and percentiles here that it has in an agent. A host that does not
run tells nothing, and falls silent.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import observation
from kvm_balancer.model import shapes
from kvm_balancer.model import windows
from kvm_balancer.simulation import scenario as scenarios
from kvm_balancer.simulation import world as worlds

#: Samples that a host has to miss before it is silent, as in an agent that
#: takes one every ten seconds and waits for 45.
_SILENT_SAMPLES = 4.5


class Senses:
    """Samples of a world, and the fleet that they add up to."""

    def __init__(
        self,
        world: worlds.World,
        params: observation.Params,
        scenario: scenarios.Scenario,
    ) -> None:
        self._world = world
        self._params = params
        self._scenario = scenario
        self._dice = scenarios.generator(
            scenario.seed, scenarios.Stream.SAMPLES
        )
        self._cpu = windows.Windows(params.window_samples, params.ewma_seconds)
        self._cpu.grow(len(world.base.instances))
        self._shapes = shapes.Shapes()
        self._shapes.grow(len(world.base.instances))
        self._seen_at = np.full(len(world.base.hosts), -np.inf)
        self._silent_after = max(
            params.silent_after_seconds,
            _SILENT_SAMPLES * scenario.step_seconds,
        )
        self._last: columns.Fleet | None = None
        self._population = -1

    def take(self, usage: columns.Floats, now: float) -> None:
        """Take one sample of each host.

        :param usage: of all instances that ever exist
        """
        world, wrong = self._world, self._scenario.samples
        heard = world.up.copy()
        if wrong.lost:
            heard &= self._dice.random(len(heard)) >= wrong.lost
        self._seen_at[heard] = now
        rows = world.rows
        rows = rows[heard[world.host[rows]]]
        readings = self._read(usage[rows], rows)
        seconds = np.full(len(rows), self._scenario.step_seconds)
        believed = observation.plausible(
            readings, world.base.instances.vcpus[rows]
        )
        self._cpu.add(rows, readings, seconds, believed)
        self._shapes.add(rows, believed, seconds, self._scenario.start + now)

    def _read(
        self, usage: columns.Floats, rows: npt.NDArray[np.intp]
    ) -> columns.Floats:
        """Return what samples say of a usage."""
        wrong, dice = self._scenario.samples, self._dice
        if wrong.noise:
            usage = usage * np.maximum(
                0.0, 1.0 + wrong.noise * dice.standard_normal(len(usage))
            )
        if wrong.wrong:
            hit = dice.random(len(usage)) < wrong.wrong
            up = dice.random(len(usage)) < 0.5
            factor = np.where(up, wrong.wrong_by, 1.0 / wrong.wrong_by)
            usage = np.where(hit, usage * factor, usage)
        return usage

    def fleet(self, now: float) -> columns.Fleet:
        """Return the fleet as an agent has it now."""
        world = self._world
        age = np.maximum(0.0, now - self._seen_at)
        silent = age > self._silent_after
        rows = world.rows
        on = world.host[rows]
        lasting = observation.lasting(self._params, self._cpu, rows)
        estimate = observation.estimated(
            self._params, self._cpu, rows, lasting
        )
        last = observation.latest(self._cpu, rows)
        ahead = self._params.foresight_seconds
        if ahead:
            outlook = self._shapes.outlook(
                rows, self._scenario.start + now + ahead
            )
            estimate, last = (
                shapes.foreseen(
                    usage,
                    outlook,
                    on,
                    len(world.base.hosts),
                    self._params.caution,
                )
                for usage in (estimate, last)
            )
        movable = (
            world.base.instances.movable[rows]
            & (self._cpu.count[rows] > 0)
            & ~silent[on]
        )
        fleet = self._whereabouts(rows)
        return fleet.updated(
            now,
            dataclasses.replace(
                fleet.hosts,
                sample_age_seconds=np.where(np.isfinite(age), age, now),
                silent=silent,
                cpu_lasting=self._load(lasting, on),
                cpu_last=self._load(last, on),
            ),
            dataclasses.replace(
                fleet.instances,
                host=on,
                cpu_usage=estimate,
                movable=movable,
                **{
                    name: getattr(world.base.instances, name)[rows]
                    for name in worlds.LIVELY
                },
            ),
        )

    def _load(self, usage: columns.Floats, on: columns.Ints) -> columns.Floats:
        """Return the load of hosts by a usage of all that are on them."""
        hosts = self._world.base.hosts
        used = hosts.cpu_overhead + np.bincount(
            on, weights=usage, minlength=len(hosts)
        )
        return used / hosts.cpus

    def _whereabouts(self, rows: npt.NDArray[np.intp]) -> columns.Fleet:
        """Return the fleet of *rows*, made anew where others exist."""
        population = self._world.population
        if self._last is None or population != self._population:
            self._last = dataclasses.replace(
                selected(self._world.base, rows),
                lasting_seconds=self._params.lasting_seconds,
            )
            self._population = population
        return self._last


def selected(
    fleet: columns.Fleet, rows: npt.NDArray[np.intp]
) -> columns.Fleet:
    """Return *fleet* with some of its instances only."""
    instances = fleet.instances
    if len(rows) == len(instances):
        return fleet
    listed = rows.tolist()
    kept = {
        field.name: getattr(instances, field.name)[rows]
        for field in dataclasses.fields(instances)
        if field.name not in ('id', 'name')
    }
    places = np.full(len(instances), -1, np.int32)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    groups = fleet.groups
    member = places[groups.member_instance]
    there = member >= 0
    return dataclasses.replace(
        fleet,
        instances=columns.Instances(
            id=tuple([instances.id[row] for row in listed]),
            name=tuple([instances.name[row] for row in listed]),
            **kept,
        ),
        groups=dataclasses.replace(
            groups,
            member_instance=member[there],
            member_group=groups.member_group[there],
        ),
    )
