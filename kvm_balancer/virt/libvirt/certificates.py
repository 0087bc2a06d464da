"""Certificates for encrypted streams, as the files of this host have them.

QEMU reads them when a migration starts, and refuses it where they do not do,
before anything is copied: the destination is the server, the source its
client. Which folder that is, libvirt's configuration says.

What reads certificates is loaded with the first that is looked at: it takes
7 MiB, and most hosts encrypt nothing.
"""

import datetime
import pathlib
import re
import typing

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import verdicts

if typing.TYPE_CHECKING:
    from cryptography import x509

#: Names of the check: at the source, and at the destination.
SOURCE, DESTINATION = 'tls here', 'tls'

_QEMU_CONF = 'etc/libvirt/qemu.conf'
_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_FOR_MIGRATION, _FOR_ALL = 'etc/pki/libvirt-migrate', 'etc/pki/qemu'

_AUTHORITY = 'ca-cert.pem'
_REMEDY = (
    'have certificates for migration there, as qemu.conf says, or ask for no '
    'TLS'
)


def check_source(
    root: pathlib.Path = pathlib.Path('/'),
    now: datetime.datetime | None = None,
) -> events.Check:
    """Say whether a stream from this host can be encrypted.

    :param root: where the file systems of this host are
    :param now: None for the time of day
    """
    return _check(SOURCE, 'source', 'client', root, now)


def check_destination(
    host: str = '',
    root: pathlib.Path = pathlib.Path('/'),
    now: datetime.datetime | None = None,
) -> events.Check:
    """Say whether an encrypted stream to this host can be taken.

    :param host: name of this host, which its certificate has to be for: QEMU
        on the source takes no other. Empty for any
    """
    return _check(DESTINATION, 'destination', 'server', root, now, host)


def _check(
    name: str,
    host: str,
    side: str,
    root: pathlib.Path,
    now: datetime.datetime | None,
    named: str = '',
) -> events.Check:
    own = [f'{side}-cert.pem', f'{side}-key.pem']
    moment = now or datetime.datetime.now(datetime.UTC)
    try:
        folder = _folder(root)
        where = f'/{folder.relative_to(root)}'
        missing = [
            one for one in (_AUTHORITY, *own) if not _exists(folder / one)
        ]
        trouble = [
            told
            for one in (_AUTHORITY, own[0])
            if one not in missing
            for told in _trouble(folder / one, moment)
        ]
        if named and not trouble and own[0] not in missing:
            trouble = _misnamed(folder / own[0], named, root)
    except OSError as error:
        return verdicts.unknown(
            name,
            f'whether the {host} has certificates for migration: '
            f'{error.filename}: {error.strerror}',
            'let kvm-balancer-executor read it there',
        )
    if trouble:
        said = f'in {where} of the {host}, {"; ".join(trouble)}'
        return verdicts.failed(name, said, _REMEDY)
    if side == 'client' and missing == own:
        return verdicts.unknown(
            name,
            f'the source has no {" and ".join(own)} in {where}: a destination '
            'that verifies its clients (migrate_tls_x509_verify) refuses it',
            _REMEDY,
        )
    if missing:
        said = f'the {host} has no {", ".join(missing)} in {where}'
        return verdicts.failed(name, said, _REMEDY)
    return verdicts.passed(name)


def _trouble(path: pathlib.Path, now: datetime.datetime) -> list[str]:
    """Say what is wrong with the certificates in a file.

    Of several authorities one that has expired is not needed.

    :raises OSError: when it cannot be read
    """
    try:
        found = _read(path)
    except ValueError:
        return [f'{path.name} is no certificate']
    told = []
    for one in found:
        if now > one.not_valid_after_utc:
            told.append(
                f'{path.name} expired on {one.not_valid_after_utc:%Y-%m-%d}'
            )
        elif now < one.not_valid_before_utc:
            told.append(
                f'{path.name} is not valid before '
                f'{one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC'
            )
    if path.name == _AUTHORITY and len(told) < len(found):
        return []
    return told


def _misnamed(path: pathlib.Path, host: str, root: pathlib.Path) -> list[str]:
    """Say that a certificate is for other names than that of its host.

    Not where libvirt has streams sent to another one (``migrate_host``).

    :raises OSError: when it cannot be read
    """
    if 'migrate_host' in _settings(root):
        return []
    names = _names(_read(path)[0])
    if any(_is_for(name, host) for name in names):
        return []
    told = ', '.join(names) or 'nothing'
    return [f'{path.name} is for {told}, and not for {host}']


def _read(path: pathlib.Path) -> 'list[x509.Certificate]':
    """Return the certificates in a file, at least one.

    :raises OSError: when it cannot be read
    :raises ValueError: when there is none in it
    """
    from cryptography import x509

    return x509.load_pem_x509_certificates(path.read_bytes())


def _names(certificate: 'x509.Certificate') -> list[str]:
    """Return whom a certificate is for; its common name for want of others."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(
            x509.NameOID.COMMON_NAME
        )
        return [str(one.value) for one in common]
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _is_for(name: str, host: str) -> bool:
    """Say whether a name is that of a host; ``*`` stands for one label."""
    name, host = name.lower(), host.lower()
    if name.startswith('*.'):
        return host.partition('.')[2] == name[2:]
    return name == host


def _settings(root: pathlib.Path) -> dict[str, str]:
    """Return what libvirt's configuration says of QEMU.

    :raises OSError: when it cannot be read
    """
    try:
        text = (root / _QEMU_CONF).read_text()
    except FileNotFoundError:
        text = ''
    return dict(_SETTING.findall(text))


def _folder(root: pathlib.Path) -> pathlib.Path:
    """Return where libvirt has QEMU look for them.

    :raises OSError: when libvirt's configuration cannot be read
    """
    settings = _settings(root)
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
