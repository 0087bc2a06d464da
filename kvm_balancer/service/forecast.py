"""What one migration is expected to take, from what its source has of it."""

from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.model import plan
from kvm_balancer.model import sample
from kvm_balancer.virt import driver


def of_instance(
    hypervisor: driver.Driver,
    view: driver.InstanceView,
    options: request.Options,
    bandwidth_mib_s: float,
) -> plan.Prediction:
    """Predict the migration of an instance away from a host.

    Where the host does not tell what is in use, all of the memory is; where
    it does not tell how fast it is written, it is taken for idle.

    :param bandwidth_mib_s: of the link, also where *options* limit it
    :raises HypervisorUnreachable: when the host does not answer
    """
    seen = hypervisor.read().instances
    if view.id in seen.id:
        row = seen.id.index(view.id)
        return of_row(seen, row, options, bandwidth_mib_s)
    return prediction.predict(
        view.memory_mib, 0.0, bandwidth_mib_s, None, options
    )


def of_row(
    seen: sample.InstanceUsages,
    row: int,
    options: request.Options,
    bandwidth_mib_s: float,
) -> plan.Prediction:
    """Predict the migration of one instance of a sample."""
    return prediction.predict(
        seen.memory_usage_mib[row] or seen.memory_mib[row],
        seen.dirty_rate_mib_s[row],
        bandwidth_mib_s,
        seen.hot_set_mib[row],
        options,
        seen.cold_rate_mib_s[row],
    )
