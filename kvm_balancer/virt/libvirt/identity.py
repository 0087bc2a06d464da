"""What a host is: asked once of every connection, as it hardly changes."""

import dataclasses

from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents


@dataclasses.dataclass(frozen=True, slots=True)
class HostIdentity:
    """What the libvirt of a host says of it, once a connection.

    :ivar uuid: of the host, as libvirt knows it
    :ivar hypervisor: version of QEMU as libvirt's number
    :ivar library: version of libvirt as its number
    :ivar page_kib: sizes of its memory pages, the smallest first
    :ivar cpu: its ``<cpu>`` as libvirt writes it, for comparing
    :ivar nodes: numbers of its NUMA nodes; none where they are not told
    """

    uuid: str
    cpu_model: str
    hypervisor: int
    library: int
    page_kib: tuple[int, ...] = ()
    cpu: str = ''
    nodes: tuple[int, ...] = ()

    @property
    def hypervisor_version(self) -> str:
        """Version of QEMU for people."""
        return _version_words(self.hypervisor)

    @property
    def library_version(self) -> str:
        """Version of libvirt for people."""
        return _version_words(self.library)


def identify(handle: connection.Handle) -> HostIdentity:
    """Ask a libvirt what its host is."""
    capabilities = documents.read_capabilities(handle.getCapabilities())
    return HostIdentity(
        uuid=capabilities.uuid,
        cpu_model=capabilities.cpu_model,
        hypervisor=handle.getVersion(),
        library=handle.getLibVersion(),
        page_kib=capabilities.page_kib,
        cpu=capabilities.cpu,
        nodes=capabilities.nodes,
    )


def _version_words(number: int) -> str:
    """Write a version as people do: 7002022 is 7.2.22."""
    return f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'
