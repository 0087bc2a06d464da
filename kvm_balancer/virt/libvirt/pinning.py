"""Whether the destination has the CPUs and nodes that a domain is pinned to.

A definition names them by their numbers, and the destination takes those for
its own: libvirt does not start a domain there whose CPUs or NUMA nodes are
missing, and where it would, it had fewer than it was given.
"""

import collections.abc
import dataclasses
from xml.etree import ElementTree

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import verdicts

NAME = 'pinning'

#: Where a definition names CPUs, and where nodes, of its host. What it says
#: of its own cells, as for its huge pages, is not among them.
_CPUS = (
    ('vcpu', 'cpuset'),
    ('cputune/vcpupin', 'cpuset'),
    ('cputune/emulatorpin', 'cpuset'),
    ('cputune/iothreadpin', 'cpuset'),
)
_NODES = (
    ('numatune/memory', 'nodeset'),
    ('numatune/memnode', 'nodeset'),
)
_NODE_MASKS = 'devices/memory/source/nodemask'

_REMEDY = (
    'choose a destination that has them, or pin it to what both hosts have: '
    'virsh vcpupin, emulatorpin, iothreadpin, numatune'
)
_SEE = 'see on the destination: virsh nodecpumap; virsh capabilities'


@dataclasses.dataclass(frozen=True, slots=True)
class Pins:
    """What a domain is pinned to, by the numbers of its host.

    :ivar cpus: that its threads may run on, where that was said
    :ivar nodes: of NUMA, that its memory may come from, where that was said
    """

    cpus: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        """Say whether it is pinned at all."""
        return bool(self.cpus or self.nodes)


def read(root: ElementTree.Element) -> Pins:
    """Read off a definition what the domain is pinned to."""
    masks = [one.text or '' for one in root.iterfind(_NODE_MASKS)]
    return Pins(
        cpus=_numbers(_stated(root, _CPUS)),
        nodes=_numbers((*_stated(root, _NODES), *masks)),
    )


def _stated(
    root: ElementTree.Element, places: tuple[tuple[str, str], ...]
) -> list[str]:
    return [
        one.get(attribute, '')
        for path, attribute in places
        for one in root.iterfind(path)
    ]


def _numbers(stated: collections.abc.Iterable[str]) -> frozenset[int]:
    """Read libvirt's sets of numbers, as ``0-3,^2,8``."""
    found: set[int] = set()
    for one in stated:
        named: set[int] = set()
        for part in filter(None, one.replace(' ', '').split(',')):
            first, _, last = part.removeprefix('^').partition('-')
            span = range(int(first), int(last or first) + 1)
            if part.startswith('^'):
                named.difference_update(span)
            else:
                named.update(span)
        found |= named
    return frozenset(found)


def checks(
    there: connection.Connection, pins: Pins, nodes: tuple[int, ...]
) -> list[events.Check]:
    """Say whether the destination has what a domain is pinned to.

    :param nodes: that the destination says it has; none where it does not
        tell
    :returns: none for a domain that is not pinned
    :raises HypervisorUnreachable: when it stops answering
    """
    if not pins:
        return []
    lacking, untold = [], []
    if pins.cpus:
        try:
            online = there.call(lambda handle: handle.getCPUMap()[1])
        except failures.Refused as error:
            untold.append(str(error))
        else:
            lacking += _lack('CPU', pins.cpus, _online(online), ' online')
    if pins.nodes and not nodes:
        untold.append('its libvirt does not tell which NUMA nodes it has')
    elif pins.nodes:
        lacking += _lack('NUMA node', pins.nodes, frozenset(nodes))
    if lacking:
        return [
            verdicts.failed(
                NAME,
                'it is pinned to what the destination has not: '
                + ', '.join(lacking),
                _REMEDY,
            )
        ]
    if untold:
        return [verdicts.unknown(NAME, '; '.join(untold), _SEE)]
    return [verdicts.passed(NAME)]


def _online(told: collections.abc.Iterable[bool]) -> frozenset[int]:
    return frozenset(number for number, is_on in enumerate(told) if is_on)


def _lack(
    what: str, named: frozenset[int], has: frozenset[int], how: str = ''
) -> list[str]:
    """Return, in words, what of the *named* there is not."""
    missing = sorted(named - has)
    return [f'{what} {_ranges(missing)}{how}'] if missing else []


def _ranges(numbers: list[int]) -> str:
    """Write numbers in order as libvirt does: ``4-7, 9``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return ', '.join('-'.join(map(str, span)) for span in spans)
