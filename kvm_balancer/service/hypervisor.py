"""The hypervisor of this host, as the configuration describes it.

Turns options into the parameters of a driver and into what the operator
says of the host; nothing else reads those groups.
"""

import urllib.parse

from oslo_config import cfg

from kvm_balancer.model import sample
from kvm_balancer.service import entry_points
from kvm_balancer.virt import driver


def load_driver(conf: cfg.ConfigOpts) -> driver.Driver:
    """Make the driver that ``[executor] driver`` names.

    :raises PluginError: when there is none of that name, or it does not load
    :raises ConfigurationError: when its options do not fit
    """
    kind = entry_points.load_class(
        'drivers', conf.executor.driver, driver.Driver
    )
    made: driver.Driver = kind.from_conf(conf)
    return made


def host_facts(conf: cfg.ConfigOpts) -> sample.HostFacts:
    """Return what the operator says of this host.

    CPUs, memory and CPU model are left open: the driver knows them.
    """
    group = conf.host
    return sample.HostFacts(
        cpus=0.0,
        memory_mib=0.0,
        memory_reserved_mib=group.memory_reserved_mib,
        disk_gib=group.disk_gib,
        cpu_allocation_ratio=group.cpu_allocation_ratio,
        memory_allocation_ratio=group.memory_allocation_ratio,
        disk_allocation_ratio=group.disk_allocation_ratio,
        migration_mib_s=group.migration_mib_s,
        max_incoming=group.max_incoming,
        max_outgoing=group.max_outgoing,
        zone=group.zone,
        aggregates=tuple(group.aggregates),
        cpu_compatible_with=tuple(group.cpu_compatible_with),
        state=group.state,
        migration_address=group.migration_address,
        peer_uri=_peer_uri(conf),
        driver=conf.executor.driver,
    )


def stream_address(conf: cfg.ConfigOpts) -> str:
    """Return where streams to this host are sent to."""
    given: str = conf.host.migration_address
    reached = urllib.parse.urlsplit(_peer_uri(conf)).hostname
    return given or reached or str(conf.host.name)


def _peer_uri(conf: cfg.ConfigOpts) -> str:
    """Return how other hosts reach this one; empty where libvirt does not.

    Other drivers find their hosts by name.
    """
    if conf.executor.driver != 'libvirt':
        return ''
    given: str = conf.libvirt.peer_uri
    return given or f'qemu+tls://{conf.host.name}/system'
