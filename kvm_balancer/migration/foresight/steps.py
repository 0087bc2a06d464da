"""Pre-copy under a limit of the downtime that rises by the clock.

Each step of the limit is looked at as if it had been there from the start: by
when it is reached, passes that fit none of the steps before it have come to
leave what they always leave. So the copy is switched at the first step that it
converges under, but not before that is reached.
"""

import dataclasses

import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.migration.foresight import dirtying
from kvm_balancer.migration.foresight import passes


def copy(
    guests: dirtying.Dirtying,
    bandwidth_mib_s: passes.Column,
    options: request.Options,
    granted_mib: passes.Column,
    manner: manners.Manner,
    memory_gib: passes.Column,
) -> passes.Copies:
    """Copy many guests, all with the same means.

    :param bandwidth_mib_s: shape ``(n,)``, of what goes over the network
    :param granted_mib: who has carried more is given up, shape ``(n,)``
    :param memory_gib: by which the steps last, shape ``(n,)``
    :returns: columns of shape ``(n,)``
    """
    # what goes over the network during one of them
    each_mib = manner.step_seconds_per_gib * memory_gib * bandwidth_mib_s

    def at(step: int) -> passes.Copies:
        seen = passes.copy(
            guests,
            bandwidth_mib_s,
            float(manner.downtime_ms(options.max_downtime_ms, step)),
            passes.Steps.of(options),
            granted_mib,
        )
        begins = step * each_mib + seen.stopped_mib
        carried = np.maximum(seen.carried_mib, begins)
        return dataclasses.replace(seen, carried_mib=carried)

    found = at(0)
    for step in range(1, manner.downtime_steps + 1):
        if (found.carried_mib <= step * each_mib).all():
            break
        seen = at(step)
        sooner = seen.carried_mib < found.carried_mib
        found = passes.Copies(
            np.where(sooner, seen.carried_mib, found.carried_mib),
            np.where(sooner, seen.stopped_mib, found.stopped_mib),
            np.where(sooner, seen.throttled, found.throttled),
        )
    return found
