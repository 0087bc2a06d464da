"""What one migration is expected to take, from what its source has of it."""

from kvm_balancer.migration import prediction
from kvm_balancer.migration import request
from kvm_balancer.model import plan
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
    memory_mib, rate, hot, cold = view.memory_mib, 0.0, 0.0, 0.0
    if view.id in seen.id:
        row = seen.id.index(view.id)
        memory_mib = seen.memory_usage_mib[row] or memory_mib
        rate = seen.dirty_rate_mib_s[row]
        hot, cold = seen.hot_set_mib[row], seen.cold_rate_mib_s[row]
    return prediction.predict(
        memory_mib,
        rate,
        bandwidth_mib_s,
        hot,
        options,
        cold,
    )
