"""A sample: what one host saw of itself and its instances at one moment.

The instances are columns (parallel tuples), as they travel on the bus: an
agent of 10,000 hosts turns them into arrays without touching them one by
one. Rates are per second over the time since the sample before; where there
was none, a rate is 0 and ``interval_seconds`` is 0, which tells the reader
that rates and usages are not yet known.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is: changes rarely, travels with every sample.

    :ivar cpus: physical threads
    :ivar migration_address: where migration streams are to be sent to
    :ivar peer_uri: how the hypervisors of other hosts reach this one
    :ivar driver: name of the driver that moves this host's instances
    """

    cpus: float
    memory_mib: float
    memory_reserved_mib: float = 0.0
    disk_gib: float = 0.0
    cpu_allocation_ratio: float = 16.0
    memory_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    migration_mib_s: float = 1120.0
    max_incoming: int = 2
    max_outgoing: int = 2
    zone: str = ''
    aggregates: tuple[str, ...] = ()
    cpu_model: str = ''
    cpu_compatible_with: tuple[str, ...] = ()
    state: str = 'enabled'
    migration_address: str = ''
    peer_uri: str = ''
    driver: str = 'libvirt'
    hypervisor_version: str = ''
    library_version: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Pressure:
    """Stall shares of the last ten seconds, 0 to 100 %; Linux PSI avg10.

    None where the kernel does not tell.
    """

    cpu_some: float | None = None
    memory_some: float | None = None
    memory_full: float | None = None
    io_some: float | None = None
    io_full: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class HostUsage:
    """What a host has in use.

    :ivar cpu_usage: cores in use by everything, instances included
    :ivar cpu_overhead: cores in use by anything but instances
    :ivar memory_free_mib: available to new allocations, as the kernel says
    :ivar memory_allocated_mib: sum of the memory of its instances
    :ivar memory_used_mib: in use by everything, as the kernel says; None
        where nobody has measured it
    """

    cpu_usage: float
    cpu_overhead: float
    memory_free_mib: float
    memory_allocated_mib: float
    network_rx_mib_s: float = 0.0
    network_tx_mib_s: float = 0.0
    block_read_mib_s: float = 0.0
    block_write_mib_s: float = 0.0
    pressure: Pressure = Pressure()
    memory_used_mib: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceUsages:
    """The instances of a host as columns of equal length.

    :ivar owner: who may move it: ``balancer`` (managed here), ``nova``, or
        ``none`` (counts as load, is never moved)
    :ivar state: ``running``, ``paused``, ``incoming`` (a migration is
        bringing it here), ``outgoing`` or ``other``
    :ivar cpu_usage: cores in use; NaN where nobody knows, never on the bus
    :ivar cpu_steal: cores' worth of time its virtual CPUs waited to run
    :ivar memory_usage_mib: what a migration has to copy
    :ivar dirty_rate_mib_s: at which clean memory gets dirty at first; 0
        where it is not known: an idle guest that was measured has a little
    :ivar hot_set_mib: what is rewritten over and over; 0 where not known
    :ivar cold_rate_mib_s: the part of the dirty rate that goes elsewhere
    :ivar asks: what its metadata asks of its migrations, names and values;
        no rows at all where no instance of the host asks for anything
    :ivar withheld: what makes those nobody's that are (see :mod:`.owners`),
        empty of the others; no rows at all where it is so of none
    """

    id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    vcpus: tuple[float, ...] = ()
    memory_mib: tuple[float, ...] = ()
    disk_gib: tuple[float, ...] = ()
    cpu_usage: tuple[float, ...] = ()
    cpu_steal: tuple[float, ...] = ()
    memory_usage_mib: tuple[float, ...] = ()
    dirty_rate_mib_s: tuple[float, ...] = ()
    network_rx_mib_s: tuple[float, ...] = ()
    network_tx_mib_s: tuple[float, ...] = ()
    block_read_mib_s: tuple[float, ...] = ()
    block_write_mib_s: tuple[float, ...] = ()
    hot_set_mib: tuple[float, ...] = ()
    cold_rate_mib_s: tuple[float, ...] = ()
    asks: tuple[tuple[tuple[str, str], ...], ...] = ()
    withheld: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one host.

    :ivar boot: names one run of the executor; ``sequence`` counts from 1
        within it
    :ivar taken_at: seconds since the epoch
    :ivar interval_seconds: the time over which rates and usages were taken
    """

    host: str
    boot: str
    sequence: int
    taken_at: float
    interval_seconds: float
    facts: HostFacts
    usage: HostUsage
    instances: InstanceUsages = InstanceUsages()
