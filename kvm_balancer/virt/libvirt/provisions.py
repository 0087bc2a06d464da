"""What only this host can say of the means by which an instance may come.

Read off its kernel and its configuration, which no libvirt tells: may QEMU
fetch pages late (userfaultfd), and has it certificates for the stream.
"""

import pathlib
import re
from xml.etree import ElementTree

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.options import forgone
from kvm_balancer.virt.libvirt import certificates
from kvm_balancer.virt.libvirt import verdicts

_SYSCTL = 'proc/sys/vm/unprivileged_userfaultfd'
_RELEASE = 'proc/sys/kernel/osrelease'
#: Kernels have the switch since, where they have userfaultfd.
_KERNEL_WITH_SWITCH = (5, 2)
_DEVICE = 'dev/userfaultfd'
#: QEMU opens the device since 8.1, where there is one.
_QEMU_WITH_DEVICE = 8_001_000


def checks(
    options: request.Options,
    capabilities: str,
    hypervisor: int,
    host: str,
    root: pathlib.Path = pathlib.Path('/'),
) -> tuple[events.Check, ...]:
    """Look at what *options* ask for.

    :param capabilities: libvirt's, as XML
    :param hypervisor: version of QEMU as libvirt's number
    :param host: name of this host, as its libvirt knows it
    :param root: where the file systems of this host are
    """
    found = []
    if options.post_copy:
        found.append(_post_copy(_user(capabilities), hypervisor, root))
    if options.tls:
        found.append(certificates.check_destination(host, root))
    return tuple(found)


def _user(capabilities: str) -> int | None:
    """Return whom QEMU runs as; None where libvirt does not tell."""
    try:
        host = ElementTree.fromstring(capabilities)  # noqa: S314
    except ElementTree.ParseError:
        return None
    for model in host.iterfind('host/secmodel'):
        if model.findtext('model') == 'dac':
            label = model.findtext('baselabel', '')
            told = re.match(r'\+?(\d+):', label)
            return None if told is None else int(told.group(1))
    return None


def _post_copy(
    user: int | None, hypervisor: int, root: pathlib.Path
) -> events.Check:
    name = forgone.POST_COPY
    try:
        allowed = (root / _SYSCTL).read_text().strip() == '1'
    except FileNotFoundError:
        return _without_switch(name, root)
    except OSError as error:
        return verdicts.unknown(name, f'{_SYSCTL}: {error.strerror}')
    if user == 0:
        # It keeps the right to (seen with libvirt 9.0 and QEMU 7.2).
        return verdicts.passed(name, 'QEMU runs as root')
    if allowed:
        return verdicts.passed(name)
    remedy = 'allow it there: sysctl vm.unprivileged_userfaultfd=1'
    device = root / _DEVICE
    if hypervisor >= _QEMU_WITH_DEVICE and device.exists():
        return verdicts.unknown(
            name,
            'whether libvirt lets QEMU use /dev/userfaultfd is not known',
            remedy,
        )
    who = 'QEMU' if user is None else f'QEMU (user {user})'
    return verdicts.forgone(
        name,
        f"the destination's kernel does not let {who} use userfaultfd",
        remedy,
    )


def _without_switch(name: str, root: pathlib.Path) -> events.Check:
    """Judge a kernel that has no switch for userfaultfd.

    An old one lets everybody use it, if it has it; another one has it not.
    """
    try:
        release = (root / _RELEASE).read_text().strip()
    except OSError:
        release = ''
    number = re.match(r'(\d+)\.(\d+)', release)
    if number and tuple(map(int, number.groups())) >= _KERNEL_WITH_SWITCH:
        return verdicts.forgone(
            name,
            f"the destination's kernel ({release}) has no userfaultfd",
            'run one there that has (CONFIG_USERFAULTFD)',
        )
    return verdicts.unknown(
        name,
        f"whether the destination's kernel ({release or 'of an unknown age'}) "
        'has userfaultfd is not known',
        'where it has not, the start is refused before anything is copied',
    )
