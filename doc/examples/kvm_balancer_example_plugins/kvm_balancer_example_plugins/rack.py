"""A filter of one instance and one host: simple, and fast enough for most.

:class:`~kvm_balancer.filters.base.OneByOne` asks it for every pair that the
search looks at. This one would be asked less if it were a
:class:`~kvm_balancer.filters.base.Filter` with ``classes``: its answer is
the same for all instances, and would be kept.
"""

import dataclasses
import fnmatch

from kvm_balancer.filters import base
from kvm_balancer.model import placement


@dataclasses.dataclass(frozen=True, slots=True)
class RackParams(base.Params):
    """Options, in the group ``[rack_filter]``."""

    closed: str = dataclasses.field(
        default='',
        metadata={'help': 'Pattern of host names that nothing may go to.'},
    )


class RackFilter(base.OneByOne):
    """Keeps instances out of racks that are being rebuilt."""

    name = 'rack'
    params_class = RackParams
    params: RackParams

    def host_passes(
        self, state: placement.Placement, instance: int, host: int
    ) -> bool:
        name = state.fleet.hosts.name[host]
        return not fnmatch.fnmatch(name, self.params.closed)

    def reason(self, state: placement.Placement, instance: int) -> str:
        return f'are in a rack that is being rebuilt ({self.params.closed})'
