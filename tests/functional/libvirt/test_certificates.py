"""Certificates that a check refuses are those that QEMU would not take."""

import dataclasses
import datetime
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from tests.contract import ground as grounds
from tests.functional.cmd import checking
from tests.functional.libvirt import hosts


class CertificatesTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround(tls=True)
        self.addCleanup(self.ground.close)
        self.pki = self.ground.lab.directory / 'pki'

    def sign(self, path, begins, until, extensions=None):
        """Have the lab's authority sign a certificate anew.

        :param extensions: makes others of those it has
        """
        good = path.read_bytes()
        self.addCleanup(path.write_bytes, good)
        old = x509.load_pem_x509_certificate(good)
        key = serialization.load_pem_private_key(
            (self.pki / 'cakey.pem').read_bytes(), None
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(old.issuer)
            .public_key(old.public_key())
            .serial_number(old.serial_number)
            .not_valid_before(begins)
            .not_valid_after(until)
        )
        for one in old.extensions:
            value = one.value if extensions is None else extensions(one.value)
            made = made.add_extension(value, one.critical)
        path.write_bytes(
            made.sign(key, hashes.SHA256()).public_bytes(
                serialization.Encoding.PEM
            )
        )

    def let_expire(self, path):
        until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(1)
        self.sign(path, until - datetime.timedelta(9), until)

    def name(self, path, *names):
        """Have a certificate be for other names."""
        day = datetime.timedelta(1)
        now = datetime.datetime.now(datetime.UTC)

        def renamed(value):
            if isinstance(value, x509.SubjectAlternativeName):
                return x509.SubjectAlternativeName(map(x509.DNSName, names))
            return value

        self.sign(path, now - day, now + day, renamed)

    def test_one_for_the_host_s_name_does_for_any_address(self):
        host = self.ground.there.name
        path = self.pki / host / 'server-cert.pem'
        for name, refused in (('other', True), (host, False)):
            self.name(path, name)
            uid = self.ground.calm()
            wanted = dataclasses.replace(
                self.ground.wanted(uid, tls=True),
                migration_address=self.ground.there.address,
            )
            story = grounds.Story(self.ground.source, wanted)
            self.addCleanup(story.carrier.close)
            story.perform(instructions.Start())
            # whichever end's QEMU is heard first says why
            found = story.until(events.CallReturned).error
            self.assertEqual(refused, bool(found), found)
            at = self.ground.domain(uid, 0 if refused else 1)
            self.assertTrue(at.isActive())

    def test_one_that_expired_is_told_and_carries_nothing(self):
        uid = self.ground.calm()
        code, found = checking.from_within(self.ground, uid, '--tls')
        self.assertEqual((0, 'passed'), (code, found['tls here']['verdict']))
        self.let_expire(self.pki / self.ground.here.name / 'client-cert.pem')
        code, found = checking.from_within(self.ground, uid, '--tls')
        self.assertEqual((1, 'failed'), (code, found['tls here']['verdict']))
        self.assertIn('expired on', found['tls here']['reason'])
        story = grounds.Story(
            self.ground.source, self.ground.wanted(uid, tls=True)
        )
        self.addCleanup(story.carrier.close)
        story.perform(instructions.Start())
        # In whose words is a matter of QEMU's.
        self.assertTrue(story.until(events.CallReturned).error)
        self.assertTrue(self.ground.domain(uid, 0).isActive())
