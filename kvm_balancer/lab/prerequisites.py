"""What a machine needs to carry a laboratory, and how to get it.

Imports nothing that may be missing, and touches nothing.
"""

import importlib.util
import os
import pathlib
import pwd
import shutil

from kvm_balancer import errors
from kvm_balancer.lab import broker
from kvm_balancer.lab import kernel
from kvm_balancer.lab import memory_group

# Program, and the Debian package that has it.
_ALWAYS = {
    'ip': 'iproute2',
    'tc': 'iproute2',
    'mount': 'mount',
    'unshare': 'util-linux',
    'nsenter': 'util-linux',
    'hostname': 'hostname',
    'libvirtd': 'libvirt-daemon-system',
    'qemu-system-x86_64': 'qemu-system-x86',
}
_GUESTS = {'qemu-nbd': 'qemu-utils', 'qemu-img': 'qemu-utils'}
_TLS = {'openssl': 'openssl'}
_FAULTS = {
    'iptables': 'iptables',
    'ss': 'iproute2',
    'date': 'coreutils',
    'mkfs.ext4': 'e2fsprogs',
}
_LEASES = {'virtlockd': 'libvirt-daemon-system'}
_LINUX = {'bridge': 'iproute2', 'busybox': 'busybox-static'}

_QEMU_DRIVER = (
    'lib*/libvirt/connection-driver/libvirt_driver_qemu.so',
    'lib/*/libvirt/connection-driver/libvirt_driver_qemu.so',
)


_FAKETIME = 'lib/*/faketime/libfaketimeMT.so.1'

#: Debian's libvirtd does not start without it, though no guest uses it.
_USER = 'libvirt-qemu'
_DEBIAN = pathlib.Path('/etc/debian_version')


def _has_user() -> bool:
    if not _DEBIAN.exists():
        return True
    try:
        return bool(pwd.getpwnam(_USER))
    except KeyError:
        return False


def faketime() -> pathlib.Path | None:
    """Return the library that shows a program another time, or None."""
    return next(pathlib.Path('/usr').glob(_FAKETIME), None)


def check(
    guests: bool = True,
    services: bool = True,
    tls: bool = False,
    linux: bool = False,
    faults: bool = False,
    leases: bool = False,
) -> None:
    """Check that the machine has everything.

    :param linux: for guests that run Linux, too
    :param faults: for what :mod:`kvm_balancer.lab.faults` does to it, too
    :raises LabError: names in one line what is missing, and the command
        that installs it
    """
    if os.geteuid():
        raise errors.LabError(
            'the lab makes network namespaces: run it as root'
        )
    needed = dict(_ALWAYS)
    needed.update(_GUESTS if guests else {})
    needed.update(_TLS if tls else {})
    needed.update(_LINUX if linux else {})
    needed.update(_FAULTS if faults else {})
    needed.update(_LEASES if leases else {})
    lacks = {
        program: package
        for program, package in needed.items()
        if shutil.which(program) is None
    }
    usr = pathlib.Path('/usr')
    if not any(found for place in _QEMU_DRIVER for found in usr.glob(place)):
        lacks["libvirt's QEMU driver"] = 'libvirt-daemon-driver-qemu'
    if not _has_user():
        lacks[f'the user {_USER}'] = 'libvirt-daemon-system'
    if services and broker.program() is None:
        lacks['rabbitmq-server'] = 'rabbitmq-server'
    if linux and kernel.find() is None:
        lacks['a Linux kernel in /boot'] = 'linux-image-cloud-amd64'
    if faults and faketime() is None:
        lacks['libfaketime'] = 'libfaketime'
    if lacks:
        packages = ' '.join(sorted(set(lacks.values())))
        raise errors.LabError(
            f'this machine lacks {", ".join(lacks)}: apt-get install '
            f'--no-install-recommends {packages}'
        )
    if faults and not memory_group.is_possible():
        raise errors.LabError(
            'this machine has no memory control group: boot it with '
            'cgroup_enable=memory'
        )
    if importlib.util.find_spec('libvirt') is None:
        raise errors.LabError(
            "libvirt's Python binding is missing: apt-get install libvirt-dev "
            "pkg-config gcc python3-dev && pip install 'kvm-balancer[libvirt]'"
        )
