"""What Nova and Placement say of hosts, servers and their rules.

Plain records in Nova's words where Nova has one: a server is an instance
that Nova owns, a compute is a host that runs nova-compute. Nothing here
judges; what follows for a plan is in :mod:`.rules`.
"""

import collections.abc
import dataclasses

#: Power states in which a guest surely does not run: shut down, crashed.
_OFF = frozenset({4, 6})
#: States in which its memory is on a disk, whatever drivers call that.
_ASLEEP = frozenset({'SUSPENDED', 'SHELVED'})

#: Names and values of metadata and extra specs.
Pairs = collections.abc.Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Flavor:
    """The size of a server, as it was when the server got it.

    :ivar ephemeral_gib: and ``swap_mib``: disks besides the root disk
    """

    name: str
    vcpus: int
    memory_mib: int
    root_gib: int = 0
    ephemeral_gib: int = 0
    swap_mib: int = 0
    extra_specs: Pairs = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """One server.

    :ivar host: name of its compute; empty where it is on none
    :ivar status: Nova's: ``ACTIVE``, ``PAUSED``, ``ERROR``, ...
    :ivar task_state: what Nova is doing to it; empty for nothing
    :ivar pinned_zone: the zone that was asked for when it was made; None
        where Nova is too old to say
    :ivar image: properties of its image; None where Nova does not tell
    :ivar from_volume: its root disk is a volume, and takes no room of hosts
    :ivar device_ports: types of its network ports that are devices of its
        host, as ``direct``; empty where none is known
    """

    id: str
    name: str
    host: str
    status: str
    task_state: str = ''
    power_state: int = 1
    locked: bool = False
    project: str = ''
    zone: str = ''
    pinned_zone: str | None = None
    image: Pairs | None = None
    from_volume: bool = False
    device_ports: frozenset[str] = frozenset()
    flavor: Flavor = dataclasses.field(
        default_factory=lambda: Flavor('', 1, 1)
    )
    metadata: Pairs = dataclasses.field(default_factory=dict)
    updated_at: str = ''
    fault: str = ''

    @property
    def runs(self) -> bool:
        """False where it surely does not, and nothing is done to it."""
        if self.task_state:
            return True
        return self.power_state not in _OFF and self.status not in _ASLEEP


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """A network port, as Neutron has it.

    :ivar device: what it belongs to: the uuid of a server, mostly
    :ivar vnic_type: Neutron's word for what it is made of, as ``normal``;
        empty where Neutron does not tell
    """

    device: str
    vnic_type: str = ''

    @property
    def is_device(self) -> bool:
        """Say whether it is known to be a device of a host, as of SR-IOV."""
        return self.vnic_type not in ('', 'normal')


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """What one compute has of one resource, by Placement.

    :ivar reserved: of ``total``, what is kept from instances
    """

    total: float
    reserved: float = 0.0
    allocation_ratio: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Hypervisor:
    """The hypervisor of one compute.

    :ivar provider: uuid of its resource provider
    :ivar version: a number of Nova's; 0 where not known
    """

    provider: str
    version: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Compute:
    """One host that runs nova-compute.

    :ivar service_id: of its service, to disable it
    :ivar provider: uuid of its resource provider, and of its hypervisor
    :ivar hypervisor_version: a number of Nova's; 0 where not known
    :ivar enabled: the operator lets servers arrive
    :ivar up: it reports in time
    :ivar inventories: by resource class, as ``VCPU``; empty where not known
    :ivar traits: whether it has a trait, of those that servers ask for; of
        any other, and where it is not in it, that is not known
    """

    name: str
    service_id: str = ''
    provider: str = ''
    hypervisor_version: int = 0
    zone: str = ''
    enabled: bool = True
    disabled_reason: str = ''
    up: bool = True
    forced_down: bool = False
    inventories: collections.abc.Mapping[str, Inventory] = dataclasses.field(
        default_factory=dict
    )
    traits: collections.abc.Mapping[str, bool] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    """A host aggregate with its metadata."""

    name: str
    hosts: frozenset[str] = frozenset()
    metadata: Pairs = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group.

    :ivar policy: ``affinity``, ``anti-affinity``, ``soft-affinity`` or
        ``soft-anti-affinity``
    """

    id: str
    name: str
    policy: str
    members: tuple[str, ...] = ()
    max_per_host: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """One migration as Nova records it.

    :ivar status: Nova's word, as ``running (post-copy)``
    :ivar created_at: on Nova's clock, seconds since the epoch; 0 where not
        told
    :ivar memory_remaining: bytes; None where Nova does not tell
    """

    id: int
    uuid: str
    instance: str
    status: str
    source: str
    destination: str
    updated_at: str = ''
    created_at: float = 0.0
    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_remaining: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Cloud:
    """Everything at one moment.

    :ivar taken_at: when it was last made sure of, seconds since the epoch;
        0 for never
    """

    computes: collections.abc.Mapping[str, Compute] = dataclasses.field(
        default_factory=dict
    )
    servers: collections.abc.Mapping[str, Server] = dataclasses.field(
        default_factory=dict
    )
    aggregates: tuple[Aggregate, ...] = ()
    groups: tuple[ServerGroup, ...] = ()
    taken_at: float = 0.0
