"""What a laboratory consists of: names, addresses, sizes. Nothing runs here.

All of it follows from a few choices, and is written down (see
:mod:`kvm_balancer.lab.ledger`) before the first thing is made, so that
whatever was made is found again.
"""

import hashlib
import ipaddress
import math
import pathlib
import re
import uuid

import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import bootsector

SCHEMA = 'kvm-balancer/lab/1'

#: The name of a laboratory begins names of interfaces, which have at most 15
#: characters: NAME-br, NAME-1, NAME-2...
_NAME = re.compile(r'[a-z][a-z0-9]{0,9}')

_MAX_HOSTS = 100
_MAX_GUESTS = 1000
_MAX_LINUX_GUESTS = 100

#: The port that the protocol of network block devices has, and those after.
_FIRST_STORAGE_PORT = 10809

#: Of cards that QEMU emulates.
_MAC_PREFIX = '52:54:00:'
_SILENT_MAC_PREFIX = '52:54:01:'

#: How much memory the guests write to a second, in turn.
_DIRTY_MIB_S = (2.0, 10.0, 20.0, 5.0)

#: Directories that a host covers with its own; a laboratory that lived in
#: one would not be seen by its hosts.
_COVERED = ('/run', '/var/run', '/sys', '/proc', '/etc/libvirt')


class Host(msgspec.Struct, frozen=True):
    """One host.

    :ivar number: 1, 2, ...; it makes address and interface
    :ivar interface: the bridge's end of its cable
    """

    name: str
    number: int
    uuid: str
    address: str
    interface: str


class Guest(msgspec.Struct, frozen=True):
    """One guest.

    :ivar host: where it is started first
    :ivar load: what it does; changed by :meth:`kvm_balancer.lab.fleet.\
Lab.set_load`
    :ivar storage_port: where its disk is served
    :ivar monitored: its QEMU has a second monitor (see
        :mod:`kvm_balancer.lab.monitor`)
    :ivar exact: it keeps all that it writes while emulated QEMU migrates it,
        its firmware as well (see :mod:`kvm_balancer.lab.emulation`)
    :ivar writes_disk: it writes its rounds to its disk, and reads them back
    :ivar local_disk: its disk is a file that only its host has; otherwise
        it is served to all
    :ivar mac: of a network card, for which it has no driver; empty for none
    """

    name: str
    uuid: str
    host: str
    memory_mib: int
    load: bootsector.Load
    storage_port: int
    monitored: bool = False
    exact: bool = False
    writes_disk: bool = False
    local_disk: bool = False
    mac: str = ''


class LinuxGuest(msgspec.Struct, frozen=True):
    """One guest that runs Linux.

    :ivar host: where it is started first
    :ivar address: at which it answers ping, in the laboratory's network
    :ivar local_disk: its disk is a file that only its host has; otherwise
        it is served to all
    :ivar storage_port: where its disk is served
    """

    name: str
    uuid: str
    host: str
    memory_mib: int
    mac: str
    address: str
    local_disk: bool
    storage_port: int

    @property
    def silent_mac(self) -> str:
        """A second card of it, for which it has no driver."""
        return _SILENT_MAC_PREFIX + self.mac.removeprefix(_MAC_PREFIX)


class Lab(msgspec.Struct, frozen=True):
    """The whole laboratory.

    :ivar directory: absolute path of everything it keeps
    :ivar address: of the bridge, where broker and storage answer
    :ivar keepalive_seconds: after how long without an answer libvirt asks,
        and between five such questions; raised, a dead host is noticed later
    :ivar virtualisation: type of the guests' domains
    :ivar turns_per_core: turns of the guests' loop that take a core's second
    :ivar services: whether broker, agent and executors are part of it
    :ivar leases: libvirt's lock manager runs, and guests have leases
    """

    name: str
    directory: str
    network: str
    bridge: str
    address: str
    hosts: tuple[Host, ...]
    guests: tuple[Guest, ...] = ()
    linux_guests: tuple[LinuxGuest, ...] = ()
    tls: bool = False
    keepalive_seconds: int = 5
    virtualisation: str = 'qemu'
    turns_per_core: float = 300e6
    services: bool = False
    leases: bool = False
    schema: str = SCHEMA

    @property
    def path(self) -> pathlib.Path:
        """The directory."""
        return pathlib.Path(self.directory)

    @property
    def prefix_length(self) -> int:
        """Number of network bits of every address."""
        return ipaddress.ip_network(self.network).prefixlen


def default_network(name: str) -> str:
    """Return the network that a laboratory has when none is asked for.

    Two names hardly ever get the same one, so that several laboratories
    can stand on one machine.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return f'10.{96 + digest[0] % 32}.{digest[1]}.0/24'


def describe(
    directory: pathlib.Path,
    name: str,
    hosts: int,
    network: str | None = None,
    tls: bool = False,
    keepalive_seconds: int = 5,
    services: bool = False,
    leases: bool = False,
) -> Lab:
    """Describe a laboratory without guests.

    :param network: IPv4, ``/24`` or larger; None: one that follows from
        the name
    :raises LabError: for a choice that cannot be
    """
    if not _NAME.fullmatch(name):
        raise errors.LabError(
            f'lab name "{name}": one to ten small letters and digits, '
            f'beginning with a letter'
        )
    if not 1 <= hosts <= _MAX_HOSTS:
        raise errors.LabError(f'{hosts} hosts: 1 to {_MAX_HOSTS} are possible')
    directory = directory.absolute()
    for covered in _COVERED:
        if directory.is_relative_to(covered):
            raise errors.LabError(
                f'directory {directory}: a host cannot see below {covered}; '
                f'choose another one'
            )
    chosen = _network(network or default_network(name))
    return Lab(
        name=name,
        directory=str(directory),
        network=str(chosen),
        bridge=f'{name}-br',
        address=str(chosen.network_address + 254),
        hosts=tuple(
            Host(
                name=f'host-{number}',
                number=number,
                uuid=str(uuid.uuid4()),
                address=str(chosen.network_address + number),
                interface=f'{name}-{number}',
            )
            for number in range(1, hosts + 1)
        ),
        tls=tls,
        keepalive_seconds=keepalive_seconds,
        services=services,
        leases=leases,
    )


def with_guests(
    lab: Lab, number: int, burn: float = 0.9, memory_mib: int = 256
) -> Lab:
    """Return *lab* with guests, of which the first host has too many.

    By default the guests of the first host burn 0.9 of a core together,
    which with what the host needs itself is more than the 0.8 of its one
    core at which it is to be relieved, by so much that one guest less does
    not do; the others have room. All of it fits on a machine with two cores.

    :param burn: cores' worth that the first host's guests burn together
    :raises LabError: when there are more than ports for their disks
    """
    if not 0 <= number <= _MAX_GUESTS:
        raise errors.LabError(
            f'{number} guests: 0 to {_MAX_GUESTS} are possible'
        )
    first, *others = lab.hosts
    crowded = number if not others else math.ceil(number * 0.6)
    guests = []
    for index in range(number):
        if index < crowded:
            host, cpu = first, burn * _share(index, crowded)
        else:
            host, cpu = others[(index - crowded) % len(others)], 0.06
        dirty = _DIRTY_MIB_S[index % len(_DIRTY_MIB_S)]
        guests.append(
            Guest(
                name=f'guest-{index + 1}',
                uuid=str(uuid.uuid4()),
                host=host.name,
                memory_mib=memory_mib,
                load=bootsector.Load(
                    cpu=min(1.0, round(cpu, 3)),
                    dirty_mib_s=dirty,
                    # A round takes two seconds.
                    working_set_mib=min(round(2 * dirty), memory_mib // 2),
                ),
                storage_port=storage_port(index),
            )
        )
    return msgspec.structs.replace(lab, guests=tuple(guests))


def with_linux_guests(
    lab: Lab, number: int, local_disks: bool = False, memory_mib: int = 128
) -> Lab:
    """Return *lab* with Linux guests, spread over its hosts in turn.

    :param local_disks: each has its disk on its host alone
    :param memory_mib: 128 is little for Linux, and the least of which QEMU
        measures how fast it is written to
    :raises LabError: when there are more than addresses for them
    """
    if not 0 <= number <= _MAX_LINUX_GUESTS:
        raise errors.LabError(
            f'{number} Linux guests: 0 to {_MAX_LINUX_GUESTS} are possible'
        )
    first = ipaddress.IPv4Network(lab.network).network_address + 1 + _MAX_HOSTS
    guests = []
    for index in range(number):
        address = first + index
        guests.append(
            LinuxGuest(
                name=f'linux-{index + 1}',
                uuid=str(uuid.uuid4()),
                host=lab.hosts[index % len(lab.hosts)].name,
                memory_mib=memory_mib,
                mac=_MAC_PREFIX + address.packed[1:].hex(':'),
                address=str(address),
                local_disk=local_disks,
                storage_port=storage_port(_MAX_GUESTS + index),
            )
        )
    return msgspec.structs.replace(lab, linux_guests=tuple(guests))


def silent_mac(index: int) -> str:
    """Return the address of a card that says nothing by itself."""
    return _SILENT_MAC_PREFIX + index.to_bytes(3).hex(':')


def storage_ports() -> str:
    """Return all ports at which disks may be served: first:last."""
    last = storage_port(_MAX_GUESTS + _MAX_LINUX_GUESTS - 1)
    return f'{storage_port(0)}:{last}'


def storage_port(index: int) -> int:
    """Return the port at which the disk of the guest *index* is served."""
    return _FIRST_STORAGE_PORT + index


def _share(index: int, number: int) -> float:
    """Return the part of guest *index* of *number* that are not alike.

    The largest is one and a half times the smallest; together they make 1.
    """
    if number == 1:
        return 1.0
    weight = 3.0 - index / (number - 1)
    return weight / (2.5 * number)


def _network(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.LabError(f'lab network: {error}') from None
    if network.prefixlen > 24:
        raise errors.LabError(f'lab network {text}: /24 or larger, please')
    return network
