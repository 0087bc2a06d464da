"""``weight_classes``: hosts with less load are better.

By measured load, by what the balancer has planned to arrive, and by what Nova
has placed since. Loaded by Nova only.
"""

import collections.abc
from typing import Any

import nova.conf
from nova.scheduler import utils
from nova.scheduler import weights

from kvm_balancer.nova_scheduler import receiver

_RECEIVER = receiver.shared(nova.conf.CONF)


class BalancerWeigher(weights.BaseHostWeigher):  # type: ignore[misc]
    """Weighs by the load that the balancer sees."""

    def weight_multiplier(self, host_state: Any) -> float:
        """Return how much it counts, an aggregate's own word first."""
        return float(
            utils.get_weight_multiplier(
                host_state,
                'kvm_balancer_weight_multiplier',
                nova.conf.CONF.kvm_balancer.weight_multiplier,
            )
        )

    def _weigh_object(self, host_state: Any, weight_properties: Any) -> float:
        """Weigh one host: Nova loads no weigher that cannot."""
        (weight,) = _RECEIVER.view().weights([host_state])
        return weight

    def weigh_objects(
        self,
        weighed_obj_list: collections.abc.Sequence[Any],
        weight_properties: Any,
    ) -> list[float]:
        """Weigh all hosts of a request at once."""
        return _RECEIVER.view().weights([one.obj for one in weighed_obj_list])
