"""What a laboratory consists of: names, addresses, sizes. Nothing runs here.

All of it follows from a few choices, and is written down (see
:mod:`kvm_balancer.lab.ledger`) before the first thing is made, so that
whatever was made is found again.
"""

import hashlib
import ipaddress
import pathlib
import re
import uuid

import msgspec

from kvm_balancer import errors

SCHEMA = 'kvm-balancer/lab/1'

#: The name of a laboratory begins names of interfaces, which have at most 15
#: characters: NAME-br, NAME-1, NAME-2...
_NAME = re.compile(r'[a-z][a-z0-9]{0,9}')

_MAX_HOSTS = 100

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
    :ivar cpu: the share of a core it burns at first
    :ivar dirty_mib_s: MiB of memory it writes a second at first
    :ivar working_set_mib: over how much memory it writes
    :ivar storage_port: where its disk is served
    """

    name: str
    uuid: str
    host: str
    memory_mib: int
    cpu: float
    dirty_mib_s: float
    working_set_mib: int
    storage_port: int
    mac: str


class Lab(msgspec.Struct, frozen=True):
    """The whole laboratory.

    :ivar directory: absolute path of everything it keeps
    :ivar address: of the bridge, where broker and storage answer
    :ivar keepalive_seconds: after how long without an answer libvirt asks,
        and between five such questions; raised, a dead host is noticed later
    """

    name: str
    directory: str
    network: str
    bridge: str
    address: str
    hosts: tuple[Host, ...]
    guests: tuple[Guest, ...] = ()
    tls: bool = False
    keepalive_seconds: int = 5
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
    )


def _network(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.LabError(f'lab network: {error}') from None
    if network.prefixlen > 24:
        raise errors.LabError(f'lab network {text}: /24 or larger, please')
    return network
