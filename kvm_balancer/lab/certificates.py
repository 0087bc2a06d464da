"""The laboratory's own certificate authority, made with ``openssl``."""

import pathlib

from kvm_balancer.lab import programs

_DAYS = '30'


def found(pki: pathlib.Path) -> None:
    """Make the authority, and the certificate of clients on the machine."""
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs.run(
        [
            'openssl',
            'req',
            '-x509',
            *_new_key(pki / 'cakey.pem'),
            '-out',
            str(pki / 'cacert.pem'),
            '-days',
            _DAYS,
            '-subj',
            '/CN=kvm-balancer lab authority',
            '-addext',
            'basicConstraints=critical,CA:TRUE',
            '-addext',
            'keyUsage=critical,keyCertSign,cRLSign',
        ]
    )
    _sign(pki, pki / 'clientkey.pem', pki / 'clientcert.pem', 'client', '')


def issue(pki: pathlib.Path, host: str, address: str) -> None:
    """Make the certificate of one host, good for server and client.

    libvirt takes it from ``pki/HOST`` under the names that
    :func:`libvirtd_options` tells it, QEMU under those it asks for.
    """
    folder = pki / host
    folder.mkdir(exist_ok=True, mode=0o700)
    key, certificate = folder / 'server-key.pem', folder / 'server-cert.pem'
    _sign(pki, key, certificate, host, f'DNS:{host},IP:{address}')
    for name, target in (
        ('ca-cert.pem', pki / 'cacert.pem'),
        ('client-key.pem', key),
        ('client-cert.pem', certificate),
    ):
        (folder / name).write_bytes(target.read_bytes())


def libvirtd_options(pki: pathlib.Path, host: str) -> str:
    """Return the lines for libvirtd.conf."""
    folder = pki / host
    return (
        f'key_file = "{folder}/server-key.pem"\n'
        f'cert_file = "{folder}/server-cert.pem"\n'
        f'ca_file = "{pki}/cacert.pem"\n'
    )


def qemu_options(pki: pathlib.Path, host: str) -> str:
    """Return the lines for qemu.conf: TLS of the migration stream itself."""
    return (
        f'migrate_tls_x509_cert_dir = "{pki / host}"\n'
        f'migrate_tls_x509_verify = 1\n'
    )


def _new_key(path: pathlib.Path) -> list[str]:
    return ['-newkey', 'rsa:2048', '-nodes', '-keyout', str(path)]


def _sign(
    pki: pathlib.Path,
    key: pathlib.Path,
    certificate: pathlib.Path,
    name: str,
    alternatives: str,
) -> None:
    request = certificate.with_suffix('.csr')
    programs.run(
        [
            'openssl',
            'req',
            *_new_key(key),
            '-out',
            str(request),
            '-subj',
            f'/O=kvm-balancer lab/CN={name}',
        ]
    )
    extensions = certificate.with_suffix('.ext')
    extensions.write_text(
        'basicConstraints=critical,CA:FALSE\n'
        'keyUsage=critical,digitalSignature,keyEncipherment\n'
        'extendedKeyUsage=serverAuth,clientAuth\n'
        + (f'subjectAltName={alternatives}\n' if alternatives else '')
    )
    programs.run(
        [
            'openssl',
            'x509',
            '-req',
            '-in',
            str(request),
            '-CA',
            str(pki / 'cacert.pem'),
            '-CAkey',
            str(pki / 'cakey.pem'),
            '-CAcreateserial',
            '-days',
            _DAYS,
            '-extfile',
            str(extensions),
            '-out',
            str(certificate),
        ]
    )
    request.unlink()
    extensions.unlink()
