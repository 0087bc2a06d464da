"""What tests of plans share: a context with all built-in plugins."""

from kvm_balancer.filters import aggregates
from kvm_balancer.filters import capacity
from kvm_balancer.filters import cpu_compatibility
from kvm_balancer.filters import groups
from kvm_balancer.filters import host_state
from kvm_balancer.filters import soft_groups
from kvm_balancer.filters import stale_host
from kvm_balancer.filters import zone
from kvm_balancer.model import placement
from kvm_balancer.planner import context
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from kvm_balancer.weighers import bandwidth
from kvm_balancer.weighers import base as weigher_base
from kvm_balancer.weighers import cpu
from kvm_balancer.weighers import memory

FILTERS = (
    host_state.HostStateFilter(),
    stale_host.StaleHostFilter(),
    zone.ZoneFilter(),
    cpu_compatibility.CpuCompatibilityFilter(),
    aggregates.AggregatesFilter(),
    groups.GroupsFilter(),
    soft_groups.SoftGroupsFilter(),
    capacity.CapacityFilter(),
)
WEIGHERS = (
    weigher_base.Weighted(cpu.CpuWeigher()),
    weigher_base.Weighted(memory.MemoryWeigher()),
    weigher_base.Weighted(bandwidth.BandwidthWeigher()),
)
RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.5))
POLICIES = (
    repair.Repair(),
    drain.Drain(),
    RELIEVE,
    spread.Spread(spread.SpreadParams(target=0.05)),
    consolidate.Consolidate(),
)


def full_context(**fields):
    fields.setdefault('filters', FILTERS)
    fields.setdefault('weighers', WEIGHERS)
    return context.Context(**fields)


def placed(fleet):
    return placement.Placement(fleet)
