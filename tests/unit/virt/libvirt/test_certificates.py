"""Certificates for encrypted streams are there, and good today, or told."""

import datetime
import ipaddress
import pathlib
import tempfile
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kvm_balancer.virt.libvirt import certificates

_NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
_KEY = ec.generate_private_key(ec.SECP256R1())
_FOLDER = 'etc/pki/qemu'


def certificate(begins=-1, ends=1, names=()):
    """Make one that is good from some day to another, counted from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'host-1')])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(_NOW + datetime.timedelta(days=begins))
        .not_valid_after(_NOW + datetime.timedelta(days=ends))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), False)
    made = made.sign(_KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


GOOD = certificate()
EXPIRED = certificate(-9, -2)
EARLY = certificate(2, 9)


class CertificatesTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = pathlib.Path(made.name)

    def write(self, name, content=GOOD):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def fill(self, folder=_FOLDER, **contents):
        """Write what both sides need, some of it with other contents."""
        for name in ('ca_cert', 'server_cert', 'client_cert'):
            content = contents.get(name, GOOD)
            self.write(f'{folder}/{name.replace("_", "-")}.pem', content)
        for side in ('server', 'client'):
            self.write(f'{folder}/{side}-key.pem', b'a key')

    def checks(self):
        return (
            certificates.check_source(self.root, _NOW),
            certificates.check_destination('', self.root, _NOW),
        )

    def test_the_destination_s_has_to_be_for_its_name(self):
        dns = x509.DNSName
        address = x509.IPAddress(ipaddress.ip_address('10.0.0.1'))
        table = (
            ((), 'host-1', 'passed'),
            ((), 'host-2', 'failed'),
            ((dns('host-1'), address), 'HOST-1', 'passed'),
            ((address,), '10.0.0.1', 'passed'),
            ((address,), 'host-1', 'failed'),
            ((dns('*.example.org'),), 'host-1.example.org', 'passed'),
            ((dns('*.example.org'),), 'a.host-1.example.org', 'failed'),
            ((dns('host-2'),), '', 'passed'),
        )
        for names, host, verdict in table:
            with self.subTest(names=names, host=host):
                self.fill(server_cert=certificate(names=names))
                found = certificates.check_destination(host, self.root, _NOW)
                self.assertEqual(verdict, found.verdict)
        self.fill(server_cert=certificate(names=(dns('a'), address)))
        found = certificates.check_destination('b', self.root, _NOW)
        self.assertIn('is for a, 10.0.0.1, and not for b', found.reason)
        # libvirt has streams sent there then, whatever the host's name is
        self.write('etc/libvirt/qemu.conf', b'migrate_host = "a"')
        found = certificates.check_destination('b', self.root, _NOW)
        self.assertEqual('passed', found.verdict)

    def verdicts(self):
        return tuple(str(one.verdict) for one in self.checks())

    def test_they_are_looked_for_where_qemu_looks(self):
        table = (
            ('', (), 'failed'),
            ('', (_FOLDER,), 'passed'),
            ('', ('etc/pki/libvirt-migrate',), 'passed'),
            ('default_tls_x509_cert_dir = "/mine"\n', ('mine',), 'passed'),
            (
                'default_tls_x509_cert_dir = "/other"\n'
                ' migrate_tls_x509_cert_dir = "/mine"\n'
                '#migrate_tls_x509_cert_dir = "/no"\n',
                ('mine',),
                'passed',
            ),
        )
        for text, folders, verdict in table:
            with self.subTest(text=text, folders=folders):
                self.write('etc/libvirt/qemu.conf', text.encode())
                for folder in folders:
                    self.fill(folder)
                self.assertEqual((verdict, verdict), self.verdicts())

    def test_what_is_missing_is_named(self):
        self.write(f'{_FOLDER}/ca-cert.pem')
        _, there = self.checks()
        self.assertEqual('failed', there.verdict)
        self.assertIn('server-cert.pem, server-key.pem', there.reason)
        self.assertIn(f'/{_FOLDER}', there.reason)
        self.assertTrue(there.remedy)

    def test_a_source_without_its_own_may_do(self):
        """Some destinations do not ask who comes."""
        self.write(f'{_FOLDER}/ca-cert.pem')
        here, _ = self.checks()
        self.assertEqual('unknown', here.verdict)
        self.assertIn('migrate_tls_x509_verify', here.reason)
        self.write(f'{_FOLDER}/client-cert.pem')
        here, _ = self.checks()
        self.assertEqual('failed', here.verdict)
        self.assertIn('client-key.pem', here.reason)

    def test_they_have_to_be_good_today(self):
        for contents, verdicts, words in (
            ({'ca_cert': EXPIRED}, ('failed', 'failed'), 'expired on'),
            ({'ca_cert': EXPIRED + GOOD}, ('passed', 'passed'), ''),
            ({'server_cert': EXPIRED}, ('passed', 'failed'), '2026-05-30'),
            ({'client_cert': EARLY}, ('failed', 'passed'), 'not valid before'),
            ({'client_cert': b'?'}, ('failed', 'passed'), 'no certificate'),
        ):
            with self.subTest(contents=tuple(contents)):
                self.fill(**contents)
                self.assertEqual(verdicts, self.verdicts())
                said = ' '.join(one.reason for one in self.checks())
                self.assertIn(words, said)

    def test_what_cannot_be_read_is_not_known(self):
        # a file where a directory is wanted: even root does not read below
        self.write('etc/libvirt')
        for one in self.checks():
            self.assertEqual('unknown', one.verdict)
            self.assertIn('qemu.conf', one.reason)
            self.assertTrue(one.remedy)
