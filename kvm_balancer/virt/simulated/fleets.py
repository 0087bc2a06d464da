"""A simulated world made of a fleet, as documents and agents have it. Pure."""

import dataclasses

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import records
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import world as worlds


@dataclasses.dataclass(frozen=True, slots=True)
class Habits:
    """What a fleet does not say of its instances.

    :ivar working_share: of the memory in use, what is written to over and
        over
    :ivar swing: of their CPU usage around what the fleet says, as a share
    """

    working_share: float = 0.2
    swing: float = 0.1


def make_world(
    fleet: columns.Fleet,
    params: worlds.Params,
    now: float,
    habits: Habits | None = None,
) -> worlds.World:
    """Let a fleet come to life, as it was when it was taken.

    :param now: the moment at which the world begins, seconds
    """
    habits = habits or Habits()
    world = worlds.World(params, now)
    host_records, instance_records, _ = records.to_records(fleet)
    for host in host_records:
        world.add_host(
            hosts.HostFacts(
                name=host.name,
                cpus=host.cpus,
                memory_mib=host.memory_mib,
                memory_reserved_mib=host.memory_reserved_mib,
                cpu_overhead=host.cpu_overhead,
                migration_mib_s=host.migration_mib_s,
                cpu_model=host.cpu_model,
                cpu_accepts=host.cpu_compatible_with,
            )
        )
    for one in instance_records:
        world.add_instance(_instance(one, habits, params.seed), one.host)
    return world


def _instance(
    one: records.InstanceRecord, habits: Habits, seed: int
) -> hosts.Instance:
    used = one.memory_mib
    if one.memory_usage_mib is not None:
        used = min(used, one.memory_usage_mib)
    return hosts.Instance(
        id=one.id,
        name=one.name or one.id,
        vcpus=one.vcpus,
        disk_gib=one.disk_gib,
        guest=memory.Guest(
            memory_mib=one.memory_mib,
            in_use_mib=used,
            dirty_rate_mib_s=one.dirty_rate_mib_s,
            working_set_mib=used * habits.working_share,
        ),
        load=load.wave(
            one.cpu_usage, one.vcpus, habits.swing, f'{seed}/{one.id}'
        ),
        marks=ownership.Marks(
            name=one.name or one.id, consent=None if one.movable else False
        ),
        asks=one.wishes,
    )
