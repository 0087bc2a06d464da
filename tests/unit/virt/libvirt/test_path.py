"""What the source's own libvirt makes of a migration, on paper."""

import contextlib
import unittest
from unittest import mock

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.options import forgone
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import arrival
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import means
from kvm_balancer.virt.libvirt import preflight
from kvm_balancer.virt.libvirt import storage
from kvm_balancer.virt.libvirt import verdicts
from tests.fixtures import facts

_HOST = identity.HostIdentity('here', '', 7_002_000, 9_000_000)
_SUBJECT = departure.Subject(
    facts=facts.WEB,
    end=events.End(events.EndState.RUNNING),
    snapshots=0,
    block_jobs=(),
    host=_HOST,
)


class _Host(connection.Connection):
    """A host whose libvirt refuses to migrate, for a reason."""

    def __init__(self, code=libvirt.VIR_ERR_XML_ERROR, domain=None):
        self._error = libvirt.libvirtError('no')
        if domain is None:
            domain = libvirt.VIR_FROM_XML
        self._error.err = (code, domain, 'no', 2, '', '', '', -1, -1)
        self.flags = 0

    def call(self, function):
        try:
            return function(self)
        except libvirt.libvirtError as error:
            raise failures.translate(error, 'test', alive=True) from None

    def lookupByUUIDString(self, _):
        return self

    def migrateToURI3(self, _uri, _parameters, flags):
        self.flags = flags
        raise self._error


class PathTest(unittest.TestCase):
    def check(self, source, *found, **options):
        """Return the check of the path, where these checks were made."""
        asked = preflight.Situation(
            source,
            _Host(),
            request.Request(
                'm1',
                'i1',
                'alpha',
                'beta',
                'qemu+tls://beta/system',
                100.0,
                options=request.Options(**options),
            ),
            ownership.Manage(),
            local=False,
        )
        with contextlib.ExitStack() as stack:
            for module, name, answer in (
                (departure, 'read_subject', _SUBJECT),
                (departure, 'checks', []),
                (identity, 'identify', _HOST),
                (arrival, 'checks', []),
                (means, 'checks', list(found)),
                (storage, 'survey', storage.Survey(())),
            ):
                stack.enter_context(
                    mock.patch.object(
                        module, name, autospec=True, return_value=answer
                    )
                )
            made = preflight.check(asked).checks
        return {one.name: one for one in made}['path']

    def test_what_the_migration_would_be_refused_for_fails(self):
        failed = events.Verdict.FAILED
        for code, domain, expected in (
            (libvirt.VIR_ERR_XML_ERROR, None, events.Verdict.PASSED),
            (libvirt.VIR_ERR_MIGRATE_UNSAFE, libvirt.VIR_FROM_QEMU, failed),
            (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_FROM_QEMU, failed),
            (
                libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
                libvirt.VIR_FROM_NONE,
                failed,
            ),
            (libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_FROM_QEMU, failed),
            (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC, failed),
            (
                libvirt.VIR_ERR_INTERNAL_ERROR,
                libvirt.VIR_FROM_QEMU,
                events.Verdict.UNKNOWN,
            ),
        ):
            with self.subTest(code=code, domain=domain):
                check = self.check(_Host(code, domain))
                self.assertEqual(expected, check.verdict)
                remedied = bool(check.remedy)
                self.assertEqual(expected is failed, remedied)

    def test_it_is_asked_without_the_means_that_are_forgone(self):
        """Or it would be refused for what it is not going to ask for."""
        gone = verdicts.forgone(forgone.POST_COPY, 'memory in files', '')
        for found, expected in (((), True), ((gone,), False)):
            source = _Host()
            self.check(source, *found, post_copy=True)
            asked = source.flags & libvirt.VIR_MIGRATE_POSTCOPY
            self.assertIs(expected, bool(asked))
