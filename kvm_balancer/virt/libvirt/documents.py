"""What libvirt's XML documents say, read once into plain facts.

Pure: text in, facts out.
"""

import dataclasses
from xml.etree import ElementTree

from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import backing
from kvm_balancer.virt.libvirt import bindings
from kvm_balancer.virt.libvirt import blockers
from kvm_balancer.virt.libvirt import pinning

#: Disk sources that both ends reach by themselves.
_NETWORK = 'network'


@dataclasses.dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a domain.

    :ivar kind: libvirt's word for where it lives: file, block, network, ...
    :ivar source: its path or name; empty for an empty drive
    :ivar format: of the image, as ``qcow2``
    :ivar backing: what its image is laid over; None for nothing
    :ivar pool: storage pool of which it is a volume; empty for none
    """

    target: str
    kind: str
    source: str
    read_only: bool = False
    shareable: bool = False
    format: str = 'raw'
    backing: 'Backing | None' = None
    pool: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Backing:
    """An image that others are laid over, and that nobody writes to.

    :ivar kind: where it lives, as of a disk
    :ivar backing: what it is laid over itself; None for nothing
    """

    kind: str
    source: str
    format: str
    backing: 'Backing | None' = None


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A network card of a running domain that is on a bridge of its host.

    :ivar mac: as libvirt writes it
    :ivar port: the bridge's port that it is
    """

    mac: str
    bridge: str
    port: str


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """A lease that a domain holds while it runs.

    :ivar space: name of the lock space that it is in
    :ivar path: where the lock space is
    """

    space: str
    key: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class DomainFacts:
    """What the definition of a domain says of it.

    :ivar virt_type: ``kvm`` or ``qemu``
    :ivar cpu: the ``<cpu>`` element as text, empty where there is none
    :ivar pass_through: names of host devices that it holds
    :ivar bridges: bridges of the host that it is plugged into
    :ivar networks: networks of libvirt that it is plugged into
    :ivar asks: what its metadata asks of its migrations, names and values
    :ivar bound: what else of the host it holds on to, in words
    :ivar secrets: of libvirt, that it needs to start
    :ivar listens: addresses of its host at which its graphics listen
    :ivar pins: CPUs and NUMA nodes of its host that it is pinned to
    """

    uuid: str
    name: str
    virt_type: str
    arch: str
    machine: str
    emulator: str
    vcpus: float
    memory_mib: float
    cpu: str
    marks: ownership.Marks
    disks: tuple[Disk, ...] = ()
    pass_through: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    file_systems: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    bound: tuple[str, ...] = ()
    asks: tuple[tuple[str, str], ...] = ()
    leases: tuple[Lease, ...] = ()
    cards: tuple[Card, ...] = ()
    secrets: tuple[bindings.Secret, ...] = ()
    listens: tuple[str, ...] = ()
    pins: pinning.Pins = dataclasses.field(default_factory=pinning.Pins)
    memory: backing.Backing = dataclasses.field(
        default_factory=backing.Backing
    )


@dataclasses.dataclass(frozen=True, slots=True)
class HostCapabilities:
    """What a libvirt says of its host.

    :ivar uuid: of the host, as libvirt knows it
    :ivar cpu: its ``<cpu>`` as text, for comparing; empty where not told
    :ivar page_kib: sizes of the memory pages that it offers, the smallest
        first
    :ivar nodes: numbers of its NUMA nodes; none where they are not told
    """

    uuid: str
    cpu_model: str
    cpu: str = ''
    page_kib: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()


_SCALES = {
    'b': 1 / 2**20,
    'bytes': 1 / 2**20,
    'kb': 1000 / 2**20,
    'k': 1 / 2**10,
    'kib': 1 / 2**10,
    'mb': 10**6 / 2**20,
    'm': 1.0,
    'mib': 1.0,
    'gb': 10**9 / 2**20,
    'g': 2.0**10,
    'gib': 2.0**10,
    'tb': 10**12 / 2**20,
    't': 2.0**20,
    'tib': 2.0**20,
}


def read_domain(text: str) -> DomainFacts:
    """Read the XML of a domain."""
    root = _parse(text)
    kind = root.find('os/type')
    cpu = root.find('cpu')
    name = root.findtext('name', '')
    return DomainFacts(
        uuid=root.findtext('uuid', ''),
        name=name,
        virt_type=root.get('type', ''),
        arch='' if kind is None else kind.get('arch', ''),
        machine='' if kind is None else kind.get('machine', ''),
        emulator=root.findtext('devices/emulator', ''),
        vcpus=_vcpus(root),
        memory_mib=_memory_mib(root.find('memory')),
        cpu='' if cpu is None else ElementTree.tostring(cpu, 'unicode'),
        marks=_marks(root, name),
        disks=tuple(_disk(one) for one in root.iterfind('devices/disk')),
        pass_through=tuple(blockers.pass_through(root)),
        bridges=tuple(
            place
            for one in root.iterfind('devices/interface/source')
            # A running domain names the bridge of its network here as well;
            # the destination's network may have another.
            if not one.get('network')
            and (place := one.get('bridge') or one.get('dev'))
        ),
        file_systems=tuple(
            _attribute(one, 'target', 'dir')
            for one in root.iterfind('devices/filesystem')
        ),
        networks=tuple(
            network
            for one in root.iterfind('devices/interface/source')
            if (network := one.get('network'))
        ),
        bound=tuple(blockers.bound(root)),
        asks=tuple(_asks(root)),
        leases=tuple(_lease(one) for one in root.iterfind('devices/lease')),
        cards=tuple(
            Card(
                mac=_attribute(one, 'mac', 'address').lower(),
                bridge=bridge,
                port=_attribute(one, 'target', 'dev'),
            )
            for one in root.iterfind('devices/interface')
            if (bridge := _attribute(one, 'source', 'bridge'))
        ),
        secrets=bindings.secrets(root),
        listens=bindings.listens(root),
        pins=pinning.read(root),
        memory=backing.read(root),
    )


def read_capabilities(text: str) -> HostCapabilities:
    """Read the XML of a host's capabilities."""
    root = _parse(text)
    cpu = root.find('host/cpu')
    return HostCapabilities(
        uuid=root.findtext('host/uuid', ''),
        cpu_model=root.findtext('host/cpu/model', ''),
        cpu='' if cpu is None else ElementTree.tostring(cpu, 'unicode'),
        page_kib=tuple(
            sorted(
                int(one.get('size', '0'))
                for one in root.iterfind('host/cpu/pages')
            )
        ),
        nodes=tuple(
            int(one.get('id', '0'))
            for one in root.iterfind('host/topology/cells/cell')
        ),
    )


def _parse(text: str) -> ElementTree.Element:
    # libvirt wrote it, and expands no entity of a guest's.
    return ElementTree.fromstring(text)  # noqa: S314


def _vcpus(root: ElementTree.Element) -> float:
    element = root.find('vcpu')
    if element is None:
        return 1.0
    return float(element.get('current') or element.text or 1)


def _memory_mib(element: ElementTree.Element | None) -> float:
    if element is None or not element.text:
        return 0.0
    return float(element.text) * _SCALES[element.get('unit', 'KiB').lower()]


def _marks(root: ElementTree.Element, name: str) -> ownership.Marks:
    metadata = root.find('metadata')
    elements = [] if metadata is None else list(metadata.iter())
    ours = f'{{{ownership.NAMESPACE}}}'
    consent: bool | None = None
    for element in elements:
        if element.tag == f'{ours}manage' and consent is not False:
            # of several, one that declines is enough
            consent = (element.text or '').strip().lower() == 'true'
    product = ''
    for entry in root.iterfind('sysinfo/system/entry'):
        if entry.get('name') == 'product':
            product = (entry.text or '').strip()
    return ownership.Marks(
        name=name,
        nova=any(
            element.tag.startswith('{' + ownership.NOVA_NAMESPACE)
            for element in elements
        ),
        product=product,
        consent=consent,
    )


def _asks(root: ElementTree.Element) -> list[tuple[str, str]]:
    """Return what ``<migration>`` of our own metadata asks for."""
    ours = f'{{{ownership.NAMESPACE}}}'
    return [
        (wish.tag.rpartition('}')[2], (wish.text or '').strip())
        for asked in root.iterfind(f'metadata//{ours}migration')
        for wish in asked
        # of a comment it is a function
        if isinstance(wish.tag, str)
    ]


def _disk(element: ElementTree.Element) -> Disk:
    return Disk(
        target=_attribute(element, 'target', 'dev'),
        kind=element.get('type', ''),
        source=_place(element),
        read_only=element.find('readonly') is not None,
        shareable=element.find('shareable') is not None,
        format=_attribute(element, 'driver', 'type') or 'raw',
        backing=_backing(element.find('backingStore')),
        pool=_attribute(element, 'source', 'pool'),
    )


def _backing(element: ElementTree.Element | None) -> Backing | None:
    # An empty one says that there is none.
    if element is None or element.find('source') is None:
        return None
    return Backing(
        kind=element.get('type', ''),
        source=_place(element),
        format=_attribute(element, 'format', 'type') or 'raw',
        backing=_backing(element.find('backingStore')),
    )


def _place(element: ElementTree.Element) -> str:
    """Return the path or name that a disk or its backing has."""
    source = element.find('source')
    if source is None:
        return ''
    places = ('file', 'dev', 'name', 'volume', 'dir', 'path')
    place = next((p for n in places if (p := source.get(n))), '')
    if element.get('type') == _NETWORK and not place:
        place = source.get('protocol', '')
    return place


def _lease(element: ElementTree.Element) -> Lease:
    return Lease(
        space=element.findtext('lockspace', ''),
        key=element.findtext('key', ''),
        path=_attribute(element, 'target', 'path'),
    )


def _attribute(
    element: ElementTree.Element, child: str, attribute: str
) -> str:
    found = element.find(child)
    return '' if found is None else found.get(attribute, '')
