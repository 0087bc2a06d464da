"""What simulations say that migrations between two hosts take.

Of any number over one link, on the code that
``kvm-balancer simulate`` runs on, without the chance that it adds. Needs no
hypervisor: tests hold recorded migrations against it.
"""

import collections.abc
import dataclasses
import math

from kvm_balancer.migration import request
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import plan
from kvm_balancer.model import records
from kvm_balancer.planner import terms
from kvm_balancer.simulation import air
from kvm_balancer.simulation import scenario
from kvm_balancer.simulation import world

_ENDS = 'source', 'destination'


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """What a fleet tells of an instance; units are in the names."""

    memory_mib: float
    memory_usage_mib: float
    dirty_rate_mib_s: float = 0.0
    hot_set_mib: float = 0.0
    cold_rate_mib_s: float = 0.0
    cpu_usage: float = 0.0
    disk_gib: float = 0.0


def seconds(
    guests: collections.abc.Sequence[Guest],
    link_mib_s: float,
    options: request.Options,
    begins: collections.abc.Sequence[float] = (),
) -> list[float]:
    """Return what the migration of each takes.

    :param link_mib_s: usable for memory, each way
    :param begins: when each of them begins, in order; all at once by default
    :returns: infinity for one that does not converge
    """
    fleet = records.build_fleet(
        [
            records.HostRecord(
                name=name,
                cpus=64,
                memory_mib=2.0**20,
                migration_mib_s=link_mib_s,
                disk_gib=1000.0,
            )
            for name in _ENDS
        ],
        [
            records.InstanceRecord(
                id=f'guest-{number}',
                host=_ENDS[0],
                vcpus=1,
                **dataclasses.asdict(guest),
            )
            for number, guest in enumerate(guests)
        ],
    )
    quiet = scenario.Scenario(surprise=0.0)
    sky = air.Air(
        world.World(fleet, quiet),
        terms.Terms(fleet, scopes.Scopes(options)),
        quiet,
    )
    taken = [math.inf] * len(guests)

    def advance(until: float) -> None:
        while (change := sky.next_change()) <= until and sky.flights:
            for one in sky.advance(change):
                if one.completed:
                    flight = one.flight
                    taken[flight.position] = one.at - flight.began
            sky.pace(fleet.instances.cpu_usage)

    for number, (uid, at) in enumerate(
        zip(fleet.instances.id, begins or [0.0] * len(guests), strict=True)
    ):
        advance(at)
        sky.advance(at)
        sky.begin(number, _move(uid), at)
        sky.pace(fleet.instances.cpu_usage)
    advance(math.inf)
    return taken


def _move(uid: str) -> plan.Move:
    nothing = plan.Prediction(0.0, 0.0, 0.0)
    return plan.Move(uid, *_ENDS, prediction=nothing, reason='')
