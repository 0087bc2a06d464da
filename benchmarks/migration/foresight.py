"""What the project expects of a migration, as an executor finds it out.

The guest's writing is measured by the executor's own part for that, in one
round of windows or several, and predicted from a sample as the agent and
``kvm-balancer migrate`` do.
"""

from benchmarks.migration import ground
from benchmarks.migration import ways
from kvm_balancer.migration import request
from kvm_balancer.model import plan
from kvm_balancer.service import dirty_rates
from kvm_balancer.service import forecast

#: Between two rounds, of which an executor has minutes.
_AT_ONCE_SECONDS = 1e-6


def measure(
    place: ground.Ground,
    uid: str,
    windows_seconds: tuple[int, ...] = (1, 4),
    rounds: int = 1,
) -> forecast.Guest:
    """Measure how a guest writes.

    :param windows_seconds: the longest that executors have refines only what
        the others say, and is left out where that does not matter
    :param rounds: that the executor has made of it by then
    :raises RuntimeError: when it cannot be measured
    """
    hypervisor = ways.open_driver(place, uid)
    try:
        hypervisor.connect()
        rates = dirty_rates.DirtyRates(
            hypervisor,
            dirty_rates.Params(_AT_ONCE_SECONDS, windows_seconds),
            lambda instance: instance == uid,
        )
        rates.fill(hypervisor.read().instances)
        for _ in range(rounds):
            if not rates.measure_next():
                raise RuntimeError('the guest cannot be measured')
        seen = rates.fill(hypervisor.read().instances)
        return forecast.of_row(seen, seen.id.index(uid))
    finally:
        hypervisor.close()


def predict(
    place: ground.Ground,
    uid: str,
    options: request.Options,
    link_mib_s: float,
    windows_seconds: tuple[int, ...] = (1, 4),
    rounds: int = 1,
) -> plan.Prediction:
    """Measure how a guest writes, and predict its migration.

    :raises RuntimeError: when it cannot be measured
    """
    found = measure(place, uid, windows_seconds, rounds)
    return forecast.predict(found, options, link_mib_s)
