"""What binds a server to its host, by its flavor, image and ports.

What only its host has, it cannot take along: a device, a part of its host's
memory, a secret. For CPUs of its own, NUMA nodes and huge pages Nova finds
room elsewhere, and nobody else can tell beforehand.
"""

from kvm_balancer.model.cloud import demand
from kvm_balancer.model.cloud import records

#: Extra specs of what is bound to devices of its host.
_DEVICES = {
    'pci_passthrough:alias': 'it has a PCI device of its host',
    'accel:device_profile': 'it has an accelerator of its host',
    'hw:pmem': 'it has persistent memory of its host',
}
_DEVICE_CLASSES = ('VGPU', 'PGPU', 'FPGA', 'PCI_DEVICE', 'MDEV', 'SRIOV')

#: What is placed within its host, by extra specs; the properties of images
#: are called the same with an underscore.
_PINNED = {
    'hw:numa_nodes': 'it has NUMA nodes',
    'hw:mem_page_size': 'it is in huge pages',
}
_REALTIME = 'hw:cpu_realtime'
_ENCRYPTED = 'hw:mem_encryption'
_TPM = 'hw:tpm_version'
#: Whose key opens the secret of a TPM. Nova moves live what the host's opens.
_TPM_KEY = 'hw:tpm_secret_security'
_TPM_MOVES = 'host'


def bond(server: records.Server, asked: demand.Demand) -> str:
    """Say what no other host has for *server*; empty where nothing."""
    specs = server.flavor.extra_specs
    for name, why in _DEVICES.items():
        if specs.get(name):
            return why
    if demand.truth(demand.said(server, _ENCRYPTED)):
        return 'its memory is encrypted by its host'
    if demand.said(server, _TPM) and specs.get(_TPM_KEY, 'user') != _TPM_MOVES:
        return (
            'its TPM is sealed with a key of its owner: Nova moves it live '
            f'only where its flavor has {_TPM_KEY}={_TPM_MOVES}'
        )
    for name, _ in asked.resources:
        if name.startswith(_DEVICE_CLASSES):
            return f'it has {name} of its host'
    if asked.riddles:
        return (
            f'its flavor asks for {asked.riddles[0]}, which is not '
            'understood here'
        )
    return ''


def plugged(server: records.Server) -> str:
    """Say which network ports of *server* are devices of its host."""
    if not server.device_ports:
        return ''
    types = ', '.join(sorted(server.device_ports))
    return f'it has a network port that is a device of its host: {types}'


def pinned(server: records.Server, asked: demand.Demand) -> str:
    """Say what of *server* has a place of its own within its host."""
    if demand.PCPU in dict(asked.resources):
        return 'its CPUs are pinned'
    for name, why in _PINNED.items():
        if demand.said(server, name):
            return why
    if demand.truth(server.flavor.extra_specs.get(_REALTIME, '')):
        return 'its CPUs are in real time'
    return ''
