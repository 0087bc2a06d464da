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
from kvm_balancer.migration.foresight import flow
from kvm_balancer.migration.foresight import passes


def copy(
    guests: dirtying.Dirtying,
    link: flow.Flow,
    options: request.Options,
    granted_mib: passes.Column,
    manner: manners.Manner,
    memory_gib: passes.Column,
) -> passes.Copies:
    """Copy many guests, all with the same means.

    :param link: what goes over the network, shape ``(n,)``
    :param granted_mib: who has carried more is given up, shape ``(n,)``
    :param memory_gib: by which the steps last, shape ``(n,)``
    :returns: columns of shape ``(n,)``
    """
    each_seconds = manner.step_seconds_per_gib * memory_gib

    def at(step: int) -> passes.Copies:
        seen = passes.copy(
            guests,
            link,
            float(manner.downtime_ms(options.max_downtime_ms, step)),
            passes.Steps.of(options),
            granted_mib,
        )
        begins = link.carried_mib(step * each_seconds) + seen.stopped_mib
        carried = np.maximum(seen.carried_mib, begins)
        return dataclasses.replace(seen, carried_mib=carried)

    found = at(0)
    for step in range(1, manner.downtime_steps + 1):
        begins_mib = link.carried_mib(step * each_seconds)
        if (found.carried_mib <= begins_mib).all():
            break
        seen = at(step)
        sooner = seen.carried_mib < found.carried_mib
        found = passes.Copies(
            np.where(sooner, seen.carried_mib, found.carried_mib),
            np.where(sooner, seen.stopped_mib, found.stopped_mib),
            np.where(sooner, seen.throttled, found.throttled),
        )
    return found
