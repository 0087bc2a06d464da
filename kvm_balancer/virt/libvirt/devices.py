"""Whether a block device is the same one on both hosts.

libvirt takes every block device for one that both hosts share, and migrates
an instance onto whatever has the same path on the destination (seen with
libvirt 9.0): a local volume of the same name, or another disk to which
multipath gave the same friendly name. So it is found out here, by what the
device says of itself: by a name of its that udev makes of that, or by the key
that libvirt has for a volume of its active pools.
"""

import collections.abc
import enum
import re

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import verdicts

NAME = 'block devices'

#: A name that SCSI gives to one device in the world (NAA), in hexadecimal.
_NAA = '[0-9a-f]{16}(?:[0-9a-f]{16})?'

#: Names that follow from the device, on whichever host it is. Not those of
#: vendors' own making, which need not be unique (``scsi-0``, ``scsi-1``).
_NAMES = re.compile(
    '/dev/(?:'
    f'disk/by-id/(?:wwn-0x{_NAA}|scsi-3{_NAA}|nvme-(?:eui|uuid)[.][0-9a-f-]+'
    rf'|dm-uuid-(?:part\d+-)?mpath-3{_NAA})(?:-part\d+)?'
    r'|disk/by-id/dm-uuid-LVM-\w{64}'
    rf'|mapper/3{_NAA}(?:-part\d+|p\d+)?'
    ')'
)

#: Keys of volumes: the uuid that LVM gives a logical one, and SCSI's name. For
#: others libvirt takes the path or the name.
_KEYS = re.compile(rf'\w{{6}}(?:-\w{{4}}){{5}}-\w{{6}}|3{_NAA}')

_REMEDY = (
    'name them by what they are, as /dev/disk/by-id/wwn-... or '
    '/dev/disk/by-id/dm-uuid-LVM-...; or have an active storage pool for '
    'them on both hosts; or, where all paths mean the same on all hosts, say '
    'so: trust_disk_paths'
)


class Sameness(enum.Enum):
    """What is known of a device of one path on two hosts."""

    SAME = 'the same'
    OTHER = 'another'
    OPEN = 'cannot be told'


def compare(
    here: connection.Connection, there: connection.Connection, path: str
) -> Sameness:
    """Say whether both hosts have the same device under a path.

    That the destination has one of that path at all is not looked at: QEMU
    does not start there without.

    :raises HypervisorUnreachable: when one does not answer
    """
    if _NAMES.fullmatch(path):
        return Sameness.SAME
    ours = _key(here, path)
    theirs = ours and _key(there, path)
    if not ours or not theirs:
        return Sameness.OPEN
    return Sameness.SAME if ours == theirs else Sameness.OTHER


def _key(link: connection.Connection, path: str) -> str:
    """Return what a device says it is; empty where no pool knows."""

    def ask(handle: connection.Handle) -> str:
        # A volume may have been made anew since the pool was looked at.
        if pools.pool(handle, pools.directory(path)) is None:
            return ''
        return str(handle.storageVolLookupByPath(path).key())

    try:
        key = link.call(ask)
    except errors.HypervisorUnreachable:
        raise
    except errors.KVMBalancerError:
        return ''
    return key if _KEYS.fullmatch(key) else ''


def check(
    here: connection.Connection,
    there: connection.Connection,
    devices: collections.abc.Iterable[tuple[str, str]],
    trust: bool,
) -> events.Check:
    """Say whether the destination has the devices of an instance.

    :param devices: in words, and their paths
    :param trust: what cannot be told may be taken for the same
    :raises HypervisorUnreachable: when one does not answer
    """
    found: dict[Sameness, list[str]] = {one: [] for one in Sameness}
    for words, path in devices:
        found[compare(here, there, path)].append(words)
    if others := found[Sameness.OTHER]:
        return verdicts.failed(
            NAME,
            'the destination has another device under the path of '
            + ', '.join(others),
            'give them paths of their own, or move the instance to storage '
            'that both hosts share first',
        )
    if not found[Sameness.OPEN]:
        return verdicts.passed(NAME)
    told = (
        'whether the destination has the same device under the path of '
        f'{", ".join(found[Sameness.OPEN])} cannot be told'
    )
    if trust:
        return verdicts.unknown(
            NAME, f'{told}; it is taken for the same: trust_disk_paths'
        )
    return verdicts.failed(NAME, told, _REMEDY)
