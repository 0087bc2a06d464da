"""The laboratory's own network: a bridge, and a cable to each host.

Owns bridge and veth pairs, through ``ip`` and ``tc``. A host's end of its
cable is named :data:`INSIDE`; it is a port of the host's own bridge
:data:`BRIDGE`, which has the host's address and the network cards of guests.
Both vanish with the host's network namespace.
"""

import ipaddress
import json
import pathlib

from kvm_balancer import errors
from kvm_balancer.lab import programs

#: The host's end of its cable, seen inside the host.
INSIDE = 'eth0'

#: The host's own bridge, on which its guests are.
BRIDGE = 'br0'

#: Of cards that nobody has made; the guests' begin otherwise.
_MAC_PREFIX = '02:6b:76:'


def exists(interface: str) -> bool:
    """Say whether the machine has this interface."""
    return pathlib.Path('/sys/class/net', interface).exists()


def overlap(network: str) -> str | None:
    """Return a route of the machine that *network* collides with, if any."""
    routes = json.loads(
        programs.run(
            ['ip', '-j', 'route', 'show', 'table', 'main', 'root', network]
        )
    )
    return routes[0]['dst'] if routes else None


def add_bridge(bridge: str, address: str) -> None:
    """Make the bridge and give it *address* (with its prefix length)."""
    programs.run(['ip', 'link', 'add', bridge, 'type', 'bridge'])
    programs.run(['ip', 'address', 'add', address, 'dev', bridge])
    programs.run(['ip', 'link', 'set', bridge, 'up'])


def connect(interface: str, bridge: str, pid: int, address: str) -> None:
    """Lay a cable from the bridge into the network namespace of *pid*.

    The host's end has the same MAC address whenever it is laid: a host that
    boots again is found where its peers remember it.

    :param interface: name of the bridge's end
    :param address: of the host's end, with its prefix length
    """
    packed = ipaddress.IPv4Interface(address).ip.packed
    mac = _MAC_PREFIX + packed[1:].hex(':')
    programs.run(
        [
            'ip',
            'link',
            'add',
            interface,
            'type',
            'veth',
            'peer',
            'name',
            INSIDE,
            'address',
            mac,
            'netns',
            str(pid),
        ]
    )
    programs.run(['ip', 'link', 'set', interface, 'master', bridge, 'up'])
    inside = ['nsenter', '-t', str(pid), '-n', 'ip']
    programs.run([*inside, 'link', 'add', BRIDGE, 'type', 'bridge'])
    # Without one of its own it would change with the guests that come and go.
    programs.run([*inside, 'link', 'set', BRIDGE, 'address', mac, 'up'])
    programs.run([*inside, 'link', 'set', INSIDE, 'master', BRIDGE, 'up'])
    programs.run([*inside, 'address', 'add', address, 'dev', BRIDGE])
    programs.run([*inside, 'link', 'set', 'lo', 'up'])


def remove(interface: str) -> None:
    """Remove a bridge or a cable, if it is there."""
    try:
        programs.run(['ip', 'link', 'delete', interface])
    except errors.LabError:
        if exists(interface):
            raise


def forwarding(bridge: str, pid: int | None = None) -> dict[str, str]:
    """Return what a bridge has learnt: the interface behind which a MAC is.

    :param pid: a process in the bridge's network namespace; None: ours
    """
    where = ['nsenter', '-t', str(pid), '-n'] if pid else []
    shown = programs.run([*where, 'bridge', '-j', 'fdb', 'show', 'br', bridge])
    return {
        row['mac']: row['ifname']
        for row in json.loads(shown)
        if row.get('state') != 'permanent'
    }


def set_carrier(interface: str, up: bool) -> None:
    """Plug the bridge's end of a cable in, or pull it."""
    programs.run(['ip', 'link', 'set', interface, 'up' if up else 'down'])


def has_carrier(interface: str) -> bool:
    """Say whether the bridge's end of a cable is plugged in."""
    state = pathlib.Path('/sys/class/net', interface, 'operstate')
    return state.read_text().strip() == 'up'


def limit(interface: str, pid: int, mib_s: float | None) -> None:
    """Limit a cable to *mib_s* MiB a second each way; None: no limit.

    :param pid: a process in the host's network namespace
    """
    for where, device in (
        ([], interface),
        (['nsenter', '-t', str(pid), '-n'], INSIDE),
    ):
        qdisc = [*where, 'tc', 'qdisc']
        if mib_s is None:
            shown = programs.run([*qdisc, 'show', 'dev', device])
            if ' tbf ' in f' {shown}':
                programs.run([*qdisc, 'delete', 'dev', device, 'root'])
            continue
        rate = max(1, round(mib_s * 1024 * 1024 * 8))
        # 64 KiB is the largest segment that the kernel hands down; a burst
        # below it would pass nothing, and a deep queue would add latency.
        burst = max(128 * 1024, rate // 8 // 100)
        programs.run(
            [
                *qdisc,
                'replace',
                'dev',
                device,
                'root',
                'tbf',
                'rate',
                f'{rate}bit',
                'burst',
                str(burst),
                'latency',
                '50ms',
            ]
        )


def block(pid: int, ports: str) -> None:
    """Drop what goes to these TCP ports, and what comes back.

    :param pid: a process in the host's network namespace
    :param ports: the first and the last, with a colon between
    """
    for chain, side in (('OUTPUT', '--dport'), ('INPUT', '--sport')):
        _filter(pid, '-A', chain, '-p', 'tcp', side, ports, '-j', 'DROP')


def block_all_but(pid: int, ports: str, storage: str) -> None:
    """Drop everything but TCP to and from these ports, and storage.

    :param storage: ports at which the guests' disks are served
    """
    for chain, way in (('INPUT', '-i'), ('OUTPUT', '-o')):
        # What the host says to itself needs no network.
        kept = [
            (way, 'lo'),
            *(
                ('-p', 'tcp', side, those)
                for side in ('--dport', '--sport')
                for those in (ports, storage)
            ),
        ]
        for one in kept:
            _filter(pid, '-A', chain, *one, '-j', 'ACCEPT')
        _filter(pid, '-A', chain, '-j', 'DROP')


def hold(pid: int, port: int, listener: str, answers: bool) -> None:
    """Hold back what a host says to one address, beside what is blocked.

    Until :func:`release`; what was said is said again then.

    :param pid: a process in the host's network namespace
    :param answers: what a service of the host says at this TCP port, and not
        what it says to that of the other
    """
    side = '--sport' if answers else '--dport'
    said = ('-p', 'tcp', side, str(port), '-d', listener)
    _table(pid, 'mangle', '-A', 'OUTPUT', *said, '-j', 'DROP')


def release(pid: int) -> None:
    """Hold nothing back any more."""
    _table(pid, 'mangle', '-F', 'OUTPUT')


def lose(pid: int, speaker: int, port: int, listener: str) -> None:
    """Lose what a process says to one address, and tell nobody.

    Its connections are gone at once. That they are the other end does not hear
    until :func:`unblock`.

    :param pid: a process in the host's network namespace
    :param speaker: the process
    """
    inside = ['nsenter', '-t', str(pid), '-n', 'ss', '-H', '-n', '-t']
    there = ['dst', listener, 'dport', 'eq', str(port)]
    said = ('-p', 'tcp', '--dport', str(port), '-d', listener)
    _filter(
        pid, '-A', 'OUTPUT', *said, '--tcp-flags', 'RST', 'RST', '-j', 'DROP'
    )
    for line in programs.run([*inside, '-p', *there]).splitlines():
        if f'pid={speaker},' in line:
            here = line.split()[3].rpartition(':')[2]
            programs.run([*inside, '-K', 'sport', 'eq', here, *there])


def unblock(pid: int) -> None:
    """Let everything through again that was blocked."""
    for chain in ('INPUT', 'OUTPUT'):
        _filter(pid, '-F', chain)


def dropped(pid: int) -> int:
    """Return how many packets were dropped since something is blocked."""
    where = ['nsenter', '-t', str(pid), '-n', 'iptables', '-w', '-nvxL']
    return sum(
        int(line.split()[0])
        for line in programs.run(where).splitlines()
        if ' DROP ' in line and not line.startswith('Chain')
    )


def _filter(pid: int, *rule: str) -> None:
    _table(pid, 'filter', *rule)


def _table(pid: int, table: str, *rule: str) -> None:
    where = ['nsenter', '-t', str(pid), '-n']
    programs.run([*where, 'iptables', '-w', '-t', table, *rule])
