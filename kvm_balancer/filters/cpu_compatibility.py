"""An instance keeps the CPU features that it was started with."""

from kvm_balancer.filters import base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement


class CpuCompatibilityFilter(base.Filter):
    """Lets instances go where the CPU model of their host is accepted.

    What counts is the host that an instance is on at the start of the plan:
    it may have been given that model's features.
    """

    name = 'cpu_compatibility'

    def classes(self, fleet: columns.Fleet) -> columns.Ints:
        return fleet.hosts.cpu_model[fleet.instances.host]

    def passes(
        self,
        state: placement.Placement,
        instances: columns.Ints,
        hosts: columns.Ints,
    ) -> columns.Bools:
        fleet = state.fleet
        model = fleet.hosts.cpu_model[fleet.instances.host[instances]]
        accepted: columns.Bools = fleet.hosts.cpu_accepts[hosts][:, model].T
        return accepted

    def reason(self, state: placement.Placement, instance: int) -> str:
        fleet = state.fleet
        home = fleet.instances.host[instance]
        model = fleet.cpu_models[fleet.hosts.cpu_model[home]]
        return f'do not take guests of CPU model {model}'

    def remedy(
        self, state: placement.Placement, instance: int, hosts: columns.Ints
    ) -> str:
        fleet = state.fleet
        model = fleet.hosts.cpu_model[fleet.instances.host[instance]]
        name = fleet.hosts.name[int(hosts[0])]
        return f'let {name} accept {fleet.cpu_models[model]}, if it can'
