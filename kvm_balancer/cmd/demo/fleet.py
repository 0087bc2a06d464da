"""The fleet of the demonstration: a dozen hosts, three of them hot. Pure."""

import random
import uuid

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import records

HOSTS = 12
INSTANCES = 100
CPUS = 32.0
MEMORY_MIB = 262_144.0
#: What 25 Gbit/s do in practice.
MIGRATION_MIB_S = 2800.0
OVERHEAD_CORES = 0.8

#: CPU load that each host begins with: three are hot, some are idle.
_LOADS = (
    0.95,
    0.90,
    0.83,
    0.58,
    0.52,
    0.47,
    0.34,
    0.28,
    0.22,
    0.17,
    0.13,
    0.10,
)
#: Instances, by what they are for: name, weight in the draw, virtual CPUs,
#: memory in GiB, share of it in use, and MiB written a second.
_KINDS = (
    ('web', 4, 4, 4, 0.45, (10.0, 80.0)),
    ('app', 4, 4, 8, 0.40, (20.0, 150.0)),
    ('cache', 2, 4, 16, 0.40, (60.0, 350.0)),
    ('db', 2, 8, 16, 0.45, (80.0, 450.0)),
    ('build', 2, 8, 8, 0.40, (50.0, 300.0)),
)


def make_fleet(seed: int) -> columns.Fleet:
    """Return the fleet; the same seed makes the same one."""
    dice = random.Random(seed)  # noqa: S311
    names = [f'host-{number:02}' for number in range(1, HOSTS + 1)]
    loads = list(_LOADS)
    dice.shuffle(loads)
    hosts = [
        records.HostRecord(
            name=name,
            cpus=CPUS,
            memory_mib=MEMORY_MIB,
            memory_reserved_mib=4096.0,
            migration_mib_s=MIGRATION_MIB_S,
            cpu_overhead=OVERHEAD_CORES,
            cpu_model='EPYC-Milan',
        )
        for name in names
    ]
    instances = []
    for name, load, many in zip(names, loads, _counts(loads), strict=True):
        cores = load * CPUS - OVERHEAD_CORES
        instances += _on_host(dice, name, cores, many)
    return records.build_fleet(hosts, instances)


def _counts(loads: list[float]) -> list[int]:
    """Share the instances out: hot hosts have more, no host has none."""
    share = [0.25 + load for load in loads]
    found = [max(2, int(INSTANCES * one / sum(share))) for one in share]
    for row in sorted(range(len(loads)), key=lambda row: -loads[row]):
        if sum(found) < INSTANCES:
            found[row] += 1
    return found


def _on_host(
    dice: random.Random, host: str, cores: float, many: int
) -> list[records.InstanceRecord]:
    """Make *many* instances that use *cores* in all."""
    weights = [kind[1] for kind in _KINDS]
    kinds = dice.choices(_KINDS, weights, k=many)
    shares = [dice.uniform(0.4, 1.0) * kind[2] for kind in kinds]
    made = []
    for kind, share in zip(kinds, shares, strict=True):
        name, _, vcpus, gib, used, (least, most) = kind
        uid = uuid.UUID(int=dice.getrandbits(128), version=4)
        memory_mib = gib * 1024.0
        usage = cores * share / sum(shares)
        made.append(
            records.InstanceRecord(
                id=str(uid),
                name=f'{name}-{uid.hex[:4]}',
                host=host,
                # one that uses more than its kind has got more
                vcpus=float(max(vcpus, int(usage) + 1)),
                memory_mib=memory_mib,
                memory_usage_mib=memory_mib * used * dice.uniform(0.7, 1.2),
                cpu_usage=usage,
                dirty_rate_mib_s=dice.uniform(least, most),
            )
        )
    return made
