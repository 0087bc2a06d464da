"""Disks that migrations copy along, before the memory's turn comes.

A fleet tells that disks are local by the host: one that has disk of its own
for instances. All of their size counts: how much of it is stored is known
only once both ends have been looked at.
"""

import collections.abc
import dataclasses
import math

import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import flow
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan

_MIB_PER_GIB = 1024.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Disks:
    """What copying disks adds to migrations, one row each."""

    mib: columns.Floats
    seconds: columns.Floats

    def added_to(
        self, predictions: collections.abc.Iterable[plan.Prediction]
    ) -> collections.abc.Iterator[plan.Prediction]:
        """Yield predictions with their disks."""
        for one, mib, seconds in zip(
            predictions, self.mib.tolist(), self.seconds.tolist(), strict=True
        ):
            if mib:
                yield dataclasses.replace(
                    one, disk_mib=mib, disk_seconds=seconds
                )
            else:
                yield one


def copied(
    fleet: columns.Fleet,
    rows: columns.Ints,
    link: flow.Flow,
    options: request.Options,
    sources: columns.Ints | None = None,
) -> Disks:
    """Say which disks are copied along, and how long that takes at most.

    :param rows: of the instances
    :param link: what is free between their hosts, from the first byte on
    :param sources: hosts that they leave; those they are on by default
    """
    instances, hosts = fleet.instances, fleet.hosts
    mib = np.zeros(len(rows))
    if options.copy_storage:
        here = instances.host[rows] if sources is None else sources
        local = hosts.disk_gib[here] > 0.0
        mib = np.where(local, instances.disk_gib[rows] * _MIB_PER_GIB, 0.0)
    # without bandwidth the memory never arrives, and is said not to
    seconds = link.limited(options.bandwidth_mib_s or math.inf).seconds(mib)
    return Disks(mib, np.where(np.isfinite(seconds), seconds, 0.0))
