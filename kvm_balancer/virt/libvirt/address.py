"""The address of a libvirt, and what can be wrong with it before it is used.

libvirt says the same of a daemon that is down and of a URI that no daemon
could ever answer, so what is wrong for good is found here. Touches nothing.
"""

import ipaddress
import re
import urllib.parse

from kvm_balancer import errors

#: Of QEMU's driver, the one that migrates, and of libvirt's own for tests.
_PATHS = {
    'qemu': ('/system', '/session', '/embed'),
    'test': (),
}
#: As libvirt's remote driver names them; none is a socket of this machine,
#: or TLS where the URI names a host.
_TRANSPORTS = ('', 'unix', 'ssh', 'tls', 'tcp', 'ext', 'libssh', 'libssh2')

#: A name of a host: labels of letters, digits and hyphens. Underscores are in
#: names of private networks.
_HOST = re.compile(r'[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?')


def check(option: str, uri: str) -> None:
    """Refuse a URI that leads nowhere, whatever runs there.

    :param option: where it was written, for the error
    :raises ConfigurationError: when it has not the form of one, or not that
        of QEMU's driver
    """
    wrong = _wrong(uri)
    if wrong:
        raise errors.ConfigurationError(
            f'{option}: {uri!r} is no URI of libvirt for QEMU: {wrong}; it '
            'has a form such as qemu:///system or qemu+tls://HOST/system'
        )


def check_stream(option: str, stated: str) -> None:
    """Refuse what is no name and no address of a host, as a URI is none.

    libvirt and QEMU would be told to send the memory there. Whether it
    resolves is for the source's host to say: :mod:`.resolution`.

    :param option: where it was written, for the error
    :param stated: as it was written; empty for none
    :raises ConfigurationError: when memory cannot be sent to it
    """
    try:
        ipaddress.ip_address(stated)
    except ValueError:
        if stated and not _HOST.fullmatch(stated):
            raise errors.ConfigurationError(
                f'{option}: {stated!r} is no name and no address of a host; '
                'write it alone, without scheme, port or brackets, as in '
                '192.0.2.1, 2001:db8::1 or host-1'
            ) from None


def _wrong(uri: str) -> str:
    try:
        parts = urllib.parse.urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        return str(error)
    driver, _, transport = parts.scheme.partition('+')
    if not driver:
        return 'it does not begin with a driver'
    if driver not in _PATHS:
        return f'its driver is {driver!r}'
    if transport not in _TRANSPORTS:
        return f'there is no transport {transport!r}'
    paths = _PATHS[driver]
    if paths and parts.path not in paths:
        return f'its path is {parts.path!r}'
    return ''
