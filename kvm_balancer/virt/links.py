"""The network interfaces of this machine, and what goes over them.

Which interface carries a migration is told by the addresses of its ends: that
of the source is the one by which the kernel reaches the destination, that of
the destination has the address that the stream is sent to. Guests share the
hardware with migrations over a bridge or a VLAN, so what is measured is the
hardware below, where it is one card or one bond.
"""

import collections
import dataclasses
import pathlib
import socket
import threading
import time

import psutil

from kvm_balancer.migration import headroom
from kvm_balancer.virt import resolver

_MIB = 2.0**20
#: Between two looks at the counters.
_PERIOD_SECONDS = 1.0
#: Over less time traffic is too uneven to be told.
_LEAST_SECONDS = 0.25
#: Any will do: nothing is sent.
_PORT = 49152


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """The counters of all interfaces, received and sent, in bytes."""

    at: float
    counters: dict[str, tuple[int, int]]


class Unknown(Exception):
    """What goes over the network is not known; says why."""


class Links:
    """Looks at the counters from time to time, and tells of the last one.

    :param root: where ``sys`` is
    """

    def __init__(self, root: pathlib.Path = pathlib.Path('/')) -> None:
        self._net = root / 'sys' / 'class' / 'net'
        #: the last may be too short a time ago, the one before is not
        self._looks: collections.deque[_Look] = collections.deque(maxlen=2)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='links', daemon=True
        )

    def start(self) -> None:
        """Look from now on."""
        self._looks.append(_look())
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def outgoing(self, address: str) -> headroom.Traffic:
        """Tell what is sent by the interface that leads to *address*."""
        try:
            return self._traffic(self._interface_to(address), 1)
        except Unknown as error:
            return headroom.Traffic(trouble=str(error))

    def incoming(self, address: str) -> headroom.Traffic:
        """Tell what is received by the interface that has *address*."""
        try:
            return self._traffic(self._interface_at(_resolved(address)), 0)
        except Unknown as error:
            return headroom.Traffic(trouble=str(error))

    def speed_mib_s(self, address: str, incoming: bool) -> float | None:
        """Tell what the interface of a stream says that it carries.

        :param address: where the stream is sent to
        :param incoming: whether that is this host
        :returns: None where it does not say, or is not known
        """
        try:
            if incoming:
                return _speed_mib_s(self._interface_at(_resolved(address)))
            return _speed_mib_s(self._interface_to(address))
        except Unknown:
            return None

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD_SECONDS):
            self._looks.append(_look())

    def _traffic(self, name: str, way: int) -> headroom.Traffic:
        """Compare the counters with those of a moment ago."""
        before = self._earlier()
        now = _look()
        if now.at - before.at > headroom.LONGEST_SECONDS:
            raise Unknown('this machine is too busy to look at it in time')
        try:
            grown = now.counters[name][way] - before.counters[name][way]
        except KeyError:
            raise Unknown(f'{name} was not there a moment ago') from None
        if grown < 0:
            raise Unknown(f'the counters of {name} began anew')
        return headroom.Traffic(
            interface=name,
            mib_s=grown / _MIB / (now.at - before.at),
            speed_mib_s=_speed_mib_s(name),
        )

    def _earlier(self) -> _Look:
        """Return the last look that was long enough ago."""
        looks = tuple(self._looks)
        if not looks:
            raise Unknown('nobody looks at it')
        now = time.monotonic()
        for one in reversed(looks):
            if now - one.at >= _LEAST_SECONDS:
                return one
        self._stopping.wait(looks[0].at + _LEAST_SECONDS - now)
        return looks[0]

    def _interface_to(self, address: str) -> str:
        family, where = _resolved(address)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                # The kernel chooses the way; no packet leaves.
                probe.connect((where, _PORT))
                own: str = probe.getsockname()[0]
            except OSError as error:
                raise Unknown(
                    f'no way leads to {address}: {error.strerror}'
                ) from None
        return self._interface_at((family, own))

    def _interface_at(self, address: tuple[socket.AddressFamily, str]) -> str:
        family, wanted = address
        for name, entries in psutil.net_if_addrs().items():
            for one in entries:
                if one.family == family and _bare(one.address) == wanted:
                    if name == 'lo' or not self._is_own(name):
                        return str(name)
                    return hardware(self._net, str(name))
        raise Unknown(f'no interface here has {wanted}')

    def _is_own(self, name: str) -> bool:
        """Say whether ``/sys`` tells of the network of this process.

        In a network namespace it may be that of another one.
        """
        try:
            told = int((self._net / name / 'ifindex').read_text())
            return told == socket.if_nametoindex(name)
        except (OSError, ValueError):
            return False


def hardware(net: pathlib.Path, name: str) -> str:
    """Return the one card or bond below an interface, or itself.

    :param net: where ``/sys/class/net`` is
    :raises Unknown: when it has several
    """
    if _is_hardware(net / name):
        return name
    below = {
        hardware(net, one.name.removeprefix('lower_'))
        for one in (net / name).glob('lower_*')
    }
    found = sorted(one for one in below if _is_hardware(net / one))
    if len(found) > 1:
        raise Unknown(f'{name} has several ways out: {", ".join(found)}')
    return found[0] if found else name


def _is_hardware(folder: pathlib.Path) -> bool:
    return (folder / 'device').exists() or (folder / 'bonding').exists()


def _look() -> _Look:
    told = psutil.net_io_counters(pernic=True, nowrap=False)
    return _Look(
        time.monotonic(),
        {name: (one.bytes_recv, one.bytes_sent) for name, one in told.items()},
    )


def _speed_mib_s(name: str) -> float | None:
    """Return what an interface says that it carries; None where it does not.

    Those of guests, and of some clouds, do not.
    """
    told = psutil.net_if_stats().get(name)
    if told is None or not told.speed:
        return None
    return float(told.speed * 1e6 / 8 / _MIB)


def _resolved(address: str) -> tuple[socket.AddressFamily, str]:
    """Return an address that QEMU would use.

    :raises Unknown: when there is none
    """
    if not address:
        raise Unknown('where the stream is sent to is not known')
    try:
        family, where = resolver.resolve(address)[0]
    except (resolver.NoSuchName, resolver.NoAnswer) as error:
        raise Unknown(str(error)) from None
    return family, _bare(where)


def _bare(address: str) -> str:
    """Leave out the interface that a link-local address is written with."""
    return address.partition('%')[0]
