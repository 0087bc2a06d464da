"""One weigher asked at a time; one that fails has no say from then on."""

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.weighers import base


def weights(
    one: base.Weighted,
    state: placement.Placement,
    instance: int,
    hosts: columns.Ints,
    problems: dict[str, str],
) -> columns.Floats:
    """Return what a weigher says of *hosts*, between 0 and 1.

    :param problems: by name of the plugin; one that raises or breaks its
        contract is named there, and left out
    :returns: shape ``(len(hosts),)``
    """
    name = one.weigher.name
    if name in problems or one.multiplier == 0:
        return np.zeros(len(hosts))
    try:
        found = np.asarray(
            one.weigher.weigh(state, instance, hosts), np.float64
        )
        if found.shape != hosts.shape or not np.isfinite(found).all():
            raise ValueError(
                f'not one finite weight for each of {len(hosts)} hosts'
            )
        return base.normalised(found)
    except Exception as error:
        problems[name] = (
            f'weigher {name} is left out: {type(error).__name__}: {error}'
        )
        return np.zeros(len(hosts))
