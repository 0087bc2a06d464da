"""Whether the network has heard where an instance is now.

QEMU announces the network cards of a guest that has arrived; switches and
bridges learn from it behind which port they are. Of that the bridge of the
host that it left is a witness: there the cards were behind a port of the
guest's own, and are now behind one that leads to the others. It is read off
the kernel, on that host itself. What was not heard is announced again, by
the destination's QEMU.
"""

import collections.abc
import dataclasses
import json
import pathlib
import struct
import time

import libvirt_qemu

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents

#: QEMU announces for a second after the switch; a busy machine takes longer.
PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05

#: As QEMU does by itself: five times, 50 to 550 ms apart.
_AGAIN = json.dumps(
    {
        'execute': 'announce-self',
        'arguments': {'initial': 50, 'max': 550, 'rounds': 5, 'step': 100},
    }
)

#: One entry of ``brforward``: ``struct __fdb_entry`` of the kernel's
#: ``if_bridge.h``: MAC, port, is it the bridge's own, age, port's high byte.
_ENTRY = struct.Struct('@6sBBIBBH')


@dataclasses.dataclass(frozen=True, slots=True)
class Cards:
    """The cards of an instance on bridges of its source, before it left.

    :ivar ports: by bridge and MAC, the bridge's port that the card was
    """

    ports: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


def read_cards(
    facts: documents.DomainFacts, root: pathlib.Path = pathlib.Path('/')
) -> Cards:
    """Say which cards of an instance a bridge of this host can tell of.

    :param root: where the file systems of this host are
    """
    return Cards(
        {
            (card.bridge, card.mac): card.port
            for card in facts.cards
            if (_net(root) / card.bridge / 'brforward').exists()
        }
    )


def heard(cards: Cards, root: pathlib.Path = pathlib.Path('/')) -> Cards:
    """Return those cards that are behind another port by now."""
    tables = {bridge: table(bridge, root) for bridge, _ in cards.ports}
    return Cards(
        {
            (bridge, mac): now
            for (bridge, mac), before in cards.ports.items()
            if (now := tables[bridge].get(mac)) and now != before
        }
    )


def table(
    bridge: str, root: pathlib.Path = pathlib.Path('/')
) -> dict[str, str]:
    """Return behind which port a bridge has which MAC."""
    place = _net(root) / bridge
    ports = {}
    try:
        for one in (place / 'brif').iterdir():
            ports[int((one / 'port_no').read_text(), 16)] = one.name
        told = (place / 'brforward').read_bytes()
    except OSError:
        # It may be removed while it is read.
        return {}
    found = {}
    for mac, low, own, _, high, _, _ in _ENTRY.iter_unpack(
        told[: len(told) // _ENTRY.size * _ENTRY.size]
    ):
        if not own:
            port = ports.get(low | high << 8, '')
            found[mac.hex(':')] = port
    return found


def repeat(handle: connection.Handle, instance: str) -> None:
    """Have QEMU announce all cards of an instance once more.

    libvirt marks the domain as tainted by that: it was not asked.
    """
    libvirt_qemu.qemuMonitorCommand(
        handle.lookupByUUIDString(instance),
        _AGAIN,
        libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT,
    )


def confirm(
    cards: Cards,
    there: connection.Connection,
    instance: str,
    wait: collections.abc.Callable[[float], bool],
    again: bool,
) -> str:
    """See to it that the network has heard of a new place.

    :param wait: sleeps for so many seconds; True where nobody waits any more
    :param again: announce what was not heard
    :returns: what was found, for the story
    """
    if not cards.ports:
        return ''
    found = _wait_until_heard(cards, wait)
    if len(found.ports) == len(cards.ports):
        return _told(found)
    silent = ', '.join(
        mac for bridge, mac in cards.ports if (bridge, mac) not in found.ports
    )
    if not again:
        return f'{silent} was not heard of'
    try:
        there.call(lambda handle: repeat(handle, instance))
    except errors.KVMBalancerError as error:
        return f'{silent} was not heard of, nor could it be repeated: {error}'
    found = _wait_until_heard(cards, wait)
    if len(found.ports) == len(cards.ports):
        return (
            f'{silent} was heard of only when it was repeated; {_told(found)}'
        )
    return (
        f'{silent} was not heard of, and no more when it was repeated: see '
        'whether both hosts are in one network'
    )


def _wait_until_heard(
    cards: Cards, wait: collections.abc.Callable[[float], bool]
) -> Cards:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        # Read before the look: whoever was held up looks once more.
        late = time.monotonic() >= deadline
        found = heard(cards)
        if late or len(found.ports) == len(cards.ports):
            return found
        if wait(_PAUSE_SECONDS):
            return found


def _told(found: Cards) -> str:
    return ', '.join(
        f'{mac} is behind {port} of {bridge} now'
        for (bridge, mac), port in found.ports.items()
    )


def _net(root: pathlib.Path) -> pathlib.Path:
    return root / 'sys/class/net'
