"""All faults, by name."""

from kvm_balancer.lab.faults import contract
from kvm_balancer.lab.faults import daemons
from kvm_balancer.lab.faults import machines
from kvm_balancer.lab.faults import people
from kvm_balancer.lab.faults import shortages
from kvm_balancer.lab.faults import surroundings
from kvm_balancer.lab.faults import upgrades
from kvm_balancer.lab.faults import wires

FAULTS: dict[str, contract.Fault] = {
    fault.name: fault
    for fault in (
        daemons.ExecutorKilled('source'),
        daemons.ExecutorKilled('destination'),
        upgrades.ExecutorUpgraded('source'),
        upgrades.ExecutorUpgraded('destination'),
        daemons.AgentKilled(),
        daemons.LibvirtdKilled('source'),
        daemons.LibvirtdKilled('destination'),
        daemons.LibvirtdKilled('source', 'destination'),
        daemons.QemuKilled('source'),
        daemons.QemuKilled('destination'),
        machines.HostLost('source'),
        machines.HostLost('destination'),
        machines.HostLost('destination', for_long=True),
        wires.MigrationNetworkCut(),
        wires.ManagementNetworkCut('source'),
        wires.ManagementNetworkCut('destination'),
        wires.CableCut(brief=False),
        wires.CableCut(brief=True),
        wires.ConnectionReset(),
        shortages.OutOfMemory(),
        shortages.DiskFull('source', 'journal'),
        shortages.DiskFull('destination', 'journal'),
        shortages.DiskFull('source', 'run'),
        shortages.DiskFull('destination', 'run'),
        shortages.ImagesFull(),
        people.Cancelled(),
        people.ShutDown(),
        people.Paused(),
        people.Rebooted(),
        people.AskedTwice(from_destination=False),
        people.AskedTwice(from_destination=True),
        surroundings.ClockShifted(),
        surroundings.BrokerGone(),
    )
}
