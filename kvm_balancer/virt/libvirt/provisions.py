"""What only this host can say of the means by which an instance may come.

Read off its kernel and its configuration, which no libvirt tells: may QEMU
fetch pages late (userfaultfd), and has it certificates for the stream.
"""

import pathlib
import re
from xml.etree import ElementTree

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt.libvirt import verdicts

_SYSCTL = 'proc/sys/vm/unprivileged_userfaultfd'
_DEVICE = 'dev/userfaultfd'
_QEMU_CONF = 'etc/libvirt/qemu.conf'
#: QEMU opens the device since 8.1, where there is one.
_QEMU_WITH_DEVICE = 8_001_000

_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_FOR_MIGRATION, _FOR_ALL = 'etc/pki/libvirt-migrate', 'etc/pki/qemu'
_CERTIFICATES = ('ca-cert.pem', 'server-cert.pem', 'server-key.pem')


def checks(
    options: request.Options,
    capabilities: str,
    hypervisor: int,
    root: pathlib.Path = pathlib.Path('/'),
) -> tuple[events.Check, ...]:
    """Look at what *options* ask for.

    :param capabilities: libvirt's, as XML
    :param hypervisor: version of QEMU as libvirt's number
    :param root: where the file systems of this host are
    """
    found = []
    if options.post_copy:
        found.append(_post_copy(_user(capabilities), hypervisor, root))
    if options.tls:
        found.append(_tls(root))
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
    name = 'post-copy'
    if user == 0:
        # It keeps the right to (seen with libvirt 9.0 and QEMU 7.2).
        return verdicts.passed(name, 'QEMU runs as root')
    try:
        allowed = (root / _SYSCTL).read_text().strip() == '1'
    except FileNotFoundError:
        # Kernels before 5.2 let everybody use it.
        allowed = True
    except OSError as error:
        return verdicts.unknown(name, f'{_SYSCTL}: {error.strerror}')
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
    return verdicts.failed(
        name,
        f"the destination's kernel does not let {who} use userfaultfd",
        f'{remedy}; or ask for no post-copy',
    )


def _tls(root: pathlib.Path) -> events.Check:
    name = 'tls'
    try:
        folder = _certificates(root)
        missing = [one for one in _CERTIFICATES if not _exists(folder / one)]
    except OSError as error:
        return verdicts.unknown(
            name,
            'whether the destination has certificates for migration: '
            f'{error.filename}: {error.strerror}',
            'let kvm-balancer-executor read it there',
        )
    if not missing:
        return verdicts.passed(name)
    where = f'/{folder.relative_to(root)}'
    return verdicts.failed(
        name,
        f'the destination has no {", ".join(missing)} in {where}',
        'have certificates for migration there, as qemu.conf says, or ask '
        'for no TLS',
    )


def _certificates(root: pathlib.Path) -> pathlib.Path:
    """Return where libvirt has QEMU look for them.

    :raises OSError: when libvirt's configuration cannot be read
    """
    try:
        text = (root / _QEMU_CONF).read_text()
    except FileNotFoundError:
        text = ''
    settings = dict(_SETTING.findall(text))
    for option in (
        'migrate_tls_x509_cert_dir',
        'default_tls_x509_cert_dir',
    ):
        if option in settings:
            return root.joinpath(settings[option].lstrip('/'))
    for usual in (_FOR_MIGRATION, _FOR_ALL):
        if _exists(root / usual):
            return root / usual
    return root / _FOR_ALL


def _exists(path: pathlib.Path) -> bool:
    """Say whether it is there.

    :raises OSError: when that cannot be seen
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True
