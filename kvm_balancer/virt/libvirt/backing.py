"""What the memory of a domain is made of, as its XML says.

Pure. It decides which of the destination's memory the domain will take, and
whether QEMU can fetch its pages after the switch.
"""

import dataclasses
from xml.etree import ElementTree

_KIB = {'b': 1 / 1024, 'kib': 1.0, 'k': 1.0, 'mib': 2.0**10, 'm': 2.0**10}
_KIB |= {'gib': 2.0**20, 'g': 2.0**20, 'kb': 1000 / 1024, 'bytes': 1 / 1024}
_KIB |= {'mb': 10**6 / 1024, 'gb': 10**9 / 1024}


@dataclasses.dataclass(frozen=True, slots=True)
class Backing:
    """Where the memory of a domain comes from.

    :ivar huge: it is in huge pages
    :ivar page_kib: sizes of its huge pages; none named where the host's
        default is meant
    :ivar partial: some of its cells have pages of other kinds
    :ivar file: it is a file on some file system, and not anonymous memory
    :ivar persistent: it holds NVDIMMs or persistent memory
    """

    huge: bool = False
    page_kib: tuple[int, ...] = ()
    partial: bool = False
    file: bool = False
    persistent: bool = False

    @property
    def comes_late(self) -> bool:
        """QEMU can fetch its pages after the switch, as post-copy does."""
        return not (self.file or self.persistent)

    @property
    def claimed_kib(self) -> int | None:
        """Return the size of the huge pages that the domain takes as a whole.

        0 for the host's default; None where it takes ordinary memory, at
        least in part: that it is claimed all from there is the best guess.
        """
        if not self.huge or self.partial:
            return None
        return min(self.page_kib, default=0)


def read(domain: ElementTree.Element) -> Backing:
    """Read it off the definition of a domain."""
    pages = domain.findall('memoryBacking/hugepages/page')
    source = domain.find('memoryBacking/source')
    return Backing(
        huge=domain.find('memoryBacking/hugepages') is not None,
        page_kib=tuple(sorted({_size_kib(page) for page in pages})),
        partial=any(page.get('nodeset') for page in pages),
        file=source is not None and source.get('type') == 'file',
        persistent=any(
            one.get('model') in ('nvdimm', 'virtio-pmem')
            for one in domain.iterfind('devices/memory')
        ),
    )


def _size_kib(page: ElementTree.Element) -> int:
    unit = page.get('unit', 'KiB').lower()
    return round(float(page.get('size', '0')) * _KIB.get(unit, 1.0))
