"""What in the definition of a domain keeps it on its host.

Pure: XML in, words out. libvirt and QEMU would refuse the migration for it,
at its start.
"""

from xml.etree import ElementTree

#: Devices of memory whose state QEMU does not migrate.
_UNMIGRATABLE_MEMORY = ('virtio-pmem', 'sgx-epc')


def pass_through(root: ElementTree.Element) -> list[str]:
    """Return the devices of the host that a domain holds."""
    devices = [
        f'{one.get("type", "")} {one.get("mode", "")}'.strip()
        for one in root.iterfind('devices/hostdev')
    ]
    devices += [
        f'{one.get("type")} interface'
        for one in root.iterfind('devices/interface')
        if one.get('type') in ('hostdev', 'vdpa')
    ]
    devices += [
        f'TPM {_named(one, "device", "path")}'.strip()
        for one in root.iterfind('devices/tpm/backend')
        if one.get('type') == 'passthrough'
    ]
    devices += [
        f'smartcard {one.get("mode")}'
        for one in root.iterfind('devices/smartcard')
        if one.get('mode', '').startswith('host')
    ]
    return devices


def bound(root: ElementTree.Element) -> list[str]:
    """Return what keeps it on its host by libvirt's or QEMU's rules.

    Those of QEMU are its migration blockers, and devices whose state it
    calls unmigratable, as of 7.2 to 10.1.
    """
    found = [
        f'shared memory {one.get("name", "")} that it does not own'
        for one in root.iterfind('devices/shmem')
        if one.get('role') != 'master'
    ]
    found += [
        f'the transient disk {_named(one, "target", "dev")}'
        for one in root.iterfind('devices/disk')
        if one.find('transient') is not None
    ]
    invariant = any(
        one.get('name') == 'invtsc' and one.get('policy') == 'require'
        for one in root.iterfind('cpu/feature')
    )
    known = any(
        one.get('name') == 'tsc' and one.get('frequency')
        for one in root.iterfind('clock/timer')
    )
    if invariant and not known:
        found.append('an invariant TSC (invtsc) without a frequency')
    found += [
        f'encrypted memory ({one.get("type", "")})'
        for one in root.iterfind('launchSecurity')
    ]
    found += [
        f'memory of the model {one.get("model")}'
        for one in root.iterfind('devices/memory')
        if one.get('model') in _UNMIGRATABLE_MEMORY
    ]
    if any(
        one.get('accel3d') == 'yes'
        for one in root.iterfind('devices/video/model/acceleration')
    ):
        found.append('3D acceleration of its video card')
    if any(
        one.get('mode') == 'passthrough'
        for one in root.iterfind('features/hyperv')
    ):
        found.append('what Hyper-V features its host has (passthrough)')
    return found


def _named(element: ElementTree.Element, child: str, attribute: str) -> str:
    found = element.find(child)
    return '' if found is None else found.get(attribute, '')
