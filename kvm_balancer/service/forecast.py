"""What one migration is expected to take, from what its source has of it."""

import dataclasses

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.model import plan
from kvm_balancer.model import sample
from kvm_balancer.virt import driver


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """What a prediction has to know of an instance.

    :ivar memory_mib: in use
    :ivar writes: how; None where it was not measured
    :ivar cpu_cores: that it uses; 0 where it is not known
    """

    memory_mib: float
    writes: hot_set.HotSet | None = None
    cpu_cores: float = 0.0


def guest(hypervisor: driver.Driver, view: driver.InstanceView) -> Guest:
    """Ask a host for an instance; one that it does not tell uses all memory.

    :raises HypervisorUnreachable: when the host does not answer
    """
    seen = hypervisor.read().instances
    if view.id in seen.id:
        return of_row(seen, seen.id.index(view.id))
    return Guest(view.memory_mib)


def of_row(seen: sample.InstanceUsages, row: int) -> Guest:
    """Return what a sample tells of one of its instances."""
    memory_mib = seen.memory_usage_mib[row] or seen.memory_mib[row]
    if not seen.dirty_rate_mib_s[row]:
        # a guest that runs dirties something
        return Guest(memory_mib, cpu_cores=seen.cpu_usage[row])
    return Guest(
        memory_mib,
        hot_set.HotSet(
            seen.dirty_rate_mib_s[row],
            seen.hot_set_mib[row],
            seen.cold_rate_mib_s[row],
        ),
        seen.cpu_usage[row],
    )


def disk_seconds(
    disk_mib: float, options: request.Options, bandwidth_mib_s: float
) -> float:
    """Return how long disks are copied before the memory's turn comes.

    :param bandwidth_mib_s: of the link, also where *options* limit it
    """
    if not options.copy_storage or bandwidth_mib_s <= 0.0:
        return 0.0
    return disk_mib / min(
        bandwidth_mib_s, options.bandwidth_mib_s or bandwidth_mib_s
    )


def predict(
    found: Guest,
    options: request.Options,
    bandwidth_mib_s: float,
    manner: manners.Manner = manners.ADAPTIVE,
) -> plan.Prediction:
    """Predict the migration of an instance.

    Where it is not known how it writes, it is taken for idle.

    :param bandwidth_mib_s: of the link, also where *options* limit it
    :param manner: of the policy that decides on its convergence
    """
    writes = found.writes or hot_set.HotSet(0.0, 0.0, 0.0)
    return prediction.predict(
        found.memory_mib,
        writes.dirty_rate_mib_s,
        bandwidth_mib_s,
        writes.hot_set_mib or None,
        options,
        writes.cold_rate_mib_s,
        found.cpu_cores,
        manner,
    )
