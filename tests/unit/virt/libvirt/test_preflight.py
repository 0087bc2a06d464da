"""Pre-flight where no real host of a test machine can be made to fail."""

import dataclasses
import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import arrival
from kvm_balancer.virt.libvirt import backing
from kvm_balancer.virt.libvirt import bindings
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import means

_IO_ERROR = ends.IO_ERROR
_CPU = '<cpu mode="custom"><model>Skylake-Server</model></cpu>'

_FACTS = documents.DomainFacts(
    uuid='some-uuid',
    name='web-1',
    virt_type='kvm',
    arch='x86_64',
    machine='pc-q35-7.2',
    emulator='/usr/bin/qemu-system-x86_64',
    vcpus=2.0,
    memory_mib=2048.0,
    cpu=_CPU,
    marks=ownership.Marks('web-1'),
    bridges=('br0',),
)

_HERE = identity.HostIdentity(
    'here',
    'Skylake-Server',
    7_002_000,
    9_000_000,
    (4, 2048, 1048576),
    '<cpu><model>Skylake-Server</model></cpu>',
)
_THERE = dataclasses.replace(_HERE, uuid='there')


def _subject(**changes):
    return departure.Subject(
        **{
            'facts': _FACTS,
            'end': events.End(events.EndState.RUNNING),
            'snapshots': 0,
            'block_jobs': (),
            'host': _HERE,
            **changes,
        }
    )


class _Handle:
    """A destination that answers what it was told to."""

    def __init__(self, **answers):
        self._answers = answers

    def __getattr__(self, name):
        def method(*_args):
            answer = self._answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return method


class _Link:
    def __init__(self, **answers):
        absent = errors.NotFound('no domain')
        self._handle = _Handle(
            **{
                'lookupByUUIDString': absent,
                'lookupByName': absent,
                'compareHypervisorCPU': libvirt.VIR_CPU_COMPARE_SUPERSET,
                'compareCPU': libvirt.VIR_CPU_COMPARE_IDENTICAL,
                'networkLookupByName': _Handle(isActive=1),
                'getAllDomainStats': [],
                'getMemoryStats': {
                    'free': 2**20,
                    'buffers': 2**19,
                    'cached': 2**19,
                },
                **answers,
            }
        )

    def call(self, function):
        return function(self._handle)


def _refused(code=1):
    return failures.Refused('no', code, 10)


_SECRET = bindings.Secret('some-secret')
_no_secret = _refused(libvirt.VIR_ERR_NO_SECRET)
_RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED)
_ARRIVING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)


def _domain(name, memory_mib, state=_ARRIVING):
    handle = _Handle(name=name, maxMemory=memory_mib * 1024)
    return handle, dict(
        zip(('state.state', 'state.reason'), state, strict=True)
    )


class ArrivalTest(unittest.TestCase):
    def test_what_keeps_an_instance_out(self):
        failed, unknown = events.Verdict.FAILED, events.Verdict.UNKNOWN
        passthrough = '<cpu mode="host-passthrough"/>'
        lacks = _refused(libvirt.VIR_ERR_CPU_INCOMPATIBLE)
        older = dataclasses.replace(_THERE, hypervisor=7_001_000)
        older_library = dataclasses.replace(_THERE, library=8_000_000)
        newer = dataclasses.replace(_THERE, hypervisor=8_000_000)
        cases = (
            ({}, {}, _THERE, {}),
            ({}, {}, newer, {}),
            ({}, {}, older, {'versions': failed}),
            ({}, {}, older_library, {'versions': failed}),
            ({}, {}, _HERE, {'hosts': failed}),
            ({'compareHypervisorCPU': lacks}, {}, _THERE, {'cpu': failed}),
            (
                {'compareHypervisorCPU': _refused()},
                {},
                _THERE,
                {'cpu': unknown},
            ),
            (
                {'compareHypervisorCPU': lacks},
                {'virt_type': 'qemu'},
                _THERE,
                {},
            ),
            ({}, {'cpu': passthrough}, _THERE, {}),
            (
                {'compareCPU': libvirt.VIR_CPU_COMPARE_SUPERSET},
                {'cpu': passthrough},
                _THERE,
                {'cpu': unknown},
            ),
            (
                {'compareCPU': lacks},
                {'cpu': passthrough},
                _THERE,
                {'cpu': failed},
            ),
            (
                {'compareCPU': _refused()},
                {'cpu': '<cpu mode="maximum"/>'},
                _THERE,
                {'cpu': unknown},
            ),
            ({}, {'memory_mib': 2049.0}, _THERE, {'memory': failed}),
            ({'getMemoryStats': _refused()}, {}, _THERE, {'memory': unknown}),
            (
                {'getDomainCapabilities': _refused()},
                {},
                _THERE,
                {'machine': failed},
            ),
            (
                {
                    'interfaceLookupByName': _refused(
                        libvirt.VIR_ERR_NO_INTERFACE
                    )
                },
                {},
                _THERE,
                {'networks': failed},
            ),
            (
                {'interfaceLookupByName': _refused()},
                {},
                _THERE,
                {'networks': unknown},
            ),
            ({}, {'networks': ('default',)}, _THERE, {}),
            ({}, {'secrets': (_SECRET,)}, _THERE, {}),
            (
                {'secretLookupByUUIDString': _no_secret},
                {'secrets': (_SECRET,)},
                _THERE,
                {'secrets': failed},
            ),
            (
                {'secretLookupByUsage': _no_secret},
                {'secrets': (bindings.Secret('', 'ceph', 'admin'),)},
                _THERE,
                {'secrets': failed},
            ),
            (
                {'secretLookupByUUIDString': _refused()},
                {'secrets': (_SECRET,)},
                _THERE,
                {'secrets': unknown},
            ),
            (
                {},
                {'listens': ('192.0.2.1',)},
                _THERE,
                {'graphics': unknown},
            ),
            (
                {'networkLookupByName': _Handle(isActive=0)},
                {'networks': ('default',)},
                _THERE,
                {'networks': failed},
            ),
            (
                {'networkLookupByName': _refused(libvirt.VIR_ERR_NO_NETWORK)},
                {'networks': ('default',)},
                _THERE,
                {'networks': failed},
            ),
            (
                {'getAllDomainStats': [_domain('web-2', 1024)]},
                {},
                _THERE,
                {'memory': failed},
            ),
            (
                {'getAllDomainStats': [_domain('web-2', 1024)]},
                {'memory_mib': 1024.0},
                _THERE,
                {},
            ),
            (
                {'getAllDomainStats': [_domain('web-2', 1024, _RUNNING)]},
                {},
                _THERE,
                {},
            ),
            (
                {'lookupByName': _Handle(UUIDString='other')},
                {},
                _THERE,
                {'identity': failed},
            ),
        )
        for answers, facts, told, expected in cases:
            with self.subTest(answers=answers, facts=facts, told=told):
                checks = arrival.checks(
                    _Link(**answers),
                    _subject(facts=dataclasses.replace(_FACTS, **facts)),
                    told,
                )
                found = {
                    one.name: one.verdict
                    for one in checks
                    if one.verdict != events.Verdict.PASSED
                }
                self.assertEqual(expected, found)
                for one in checks:
                    if one.verdict == failed:
                        self.assertTrue(one.reason and one.remedy, one)


class DepartureTest(unittest.TestCase):
    def test_what_keeps_an_instance_from_leaving(self):
        cases = (
            ({}, {}, []),
            ({}, {'snapshots': 2}, ['snapshots']),
            ({}, {'block_jobs': ('vda',)}, ['block jobs']),
            ({'pass_through': ('pci',)}, {}, ['devices']),
            ({'file_systems': ('share',)}, {}, ['file systems']),
            ({'bound': ('a transient disk',)}, {}, ['bound']),
            (
                {'marks': ownership.Marks('web-1', nova=True)},
                {},
                ['owner'],
            ),
            (
                {},
                {'end': events.End(events.EndState.SHUT_OFF)},
                ['state'],
            ),
            (
                {},
                {'end': events.End(events.EndState.RUNNING, job_active=True)},
                ['state'],
            ),
            ({}, {'end': events.End(events.EndState.PAUSED)}, []),
            (
                {},
                {'end': events.End(events.EndState.PAUSED, trouble=_IO_ERROR)},
                ['state'],
            ),
        )
        for facts, changes, expected in cases:
            with self.subTest(facts=facts, changes=changes):
                subject = _subject(
                    facts=dataclasses.replace(_FACTS, **facts), **changes
                )
                checks = departure.checks(
                    subject, ownership.BY_HAND, local=False
                )
                found = [
                    one.name
                    for one in checks
                    if one.verdict == events.Verdict.FAILED
                ]
                self.assertEqual(expected, found)


class HugePagesTest(unittest.TestCase):
    def test_the_destination_has_the_pages_that_it_needs(self):
        """An instance of 2048 MiB: 1024 pages of 2 MiB, or 2 of 1 GiB."""
        failed, passed = events.Verdict.FAILED, events.Verdict.PASSED
        unknown = events.Verdict.UNKNOWN
        cases = (
            # page sizes named, partial, free of 2 MiB and of 1 GiB
            ((2048,), False, 1024, 0, passed),
            ((2048,), False, 1023, 9, failed),
            ((1048576,), False, 9999, 1, failed),
            ((1048576,), False, 0, 2, passed),
            ((), False, 0, 2, passed),
            ((), False, 1, 1, failed),
            ((64,), False, 9999, 9, failed),
            ((2048,), True, 1024, 0, passed),
            ((2048,), True, 512, 0, unknown),
            ((2048,), True, 0, 0, failed),
            ((2048, 1048576), True, 512, 1, unknown),
        )
        for named, partial, small, large, expected in cases:
            with self.subTest(named=named, small=small, large=large):
                free = {2048: small, 1048576: large}
                link = _Link(
                    getFreePages={
                        -1: {size: free[size] for size in named or free}
                        if 64 not in named
                        else {}
                    }
                )
                facts = dataclasses.replace(
                    _FACTS,
                    memory=backing.Backing(True, named, partial),
                )
                checks = {
                    one.name: one
                    for one in arrival.checks(
                        link, _subject(facts=facts), _THERE
                    )
                }
                self.assertEqual(expected, checks['hugepages'].verdict)
                self.assertNotIn('memory', checks)

    def test_what_is_not_told_is_not_known(self):
        facts = dataclasses.replace(_FACTS, memory=backing.Backing(True))
        checks = arrival.checks(
            _Link(getFreePages=_refused()), _subject(facts=facts), _THERE
        )
        (found,) = [one for one in checks if one.name == 'hugepages']
        self.assertEqual(events.Verdict.UNKNOWN, found.verdict)
        self.assertTrue(found.remedy)


class MeansTest(unittest.TestCase):
    def verdicts(self, options, subject=None, there=_THERE, **answers):
        checks = means.checks(
            _Link(**answers),
            subject or _subject(),
            there,
            request.Options(**options),
            local=False,
        )
        for one in checks:
            if one.verdict != events.Verdict.PASSED:
                self.assertTrue(one.reason and one.remedy, one)
        return {one.name: one.verdict for one in checks}

    def test_what_no_libvirt_tells_is_not_known(self):
        unknown, passed = events.Verdict.UNKNOWN, events.Verdict.PASSED
        plain = {'options': passed, 'bandwidth': unknown}
        self.assertEqual(plain, self.verdicts({}))
        self.assertEqual(
            {**plain, 'post-copy': unknown}, self.verdicts({'post_copy': True})
        )
        self.assertEqual(
            {**plain, 'tls here': unknown, 'tls': unknown},
            self.verdicts({'tls': True}),
        )

    def test_who_arrives_there_is_named(self):
        (told,) = (
            one
            for one in means.checks(
                _Link(getAllDomainStats=[_domain('web-2', 512)]),
                _subject(),
                _THERE,
                request.Options(bandwidth_mib_s=9),
                local=False,
            )
            if one.name == 'bandwidth'
        )
        self.assertIn('the 9 MiB/s of this one', told.reason)
        self.assertIn('web-2 arrive there already', told.reason)

    def test_post_copy_needs_memory_that_can_follow(self):
        cases = (
            (backing.Backing(file=True), events.Verdict.FORGONE),
            (backing.Backing(persistent=True), events.Verdict.FORGONE),
            (backing.Backing(True, (1048576,)), events.Verdict.UNKNOWN),
        )
        for kind, expected in cases:
            with self.subTest(kind=kind):
                facts = dataclasses.replace(_FACTS, memory=kind)
                found = self.verdicts(
                    {'post_copy': True}, _subject(facts=facts)
                )
                self.assertEqual(expected, found['post-copy'])

    def test_a_paused_instance_goes_without_post_copy(self):
        paused = _subject(end=events.End(events.EndState.PAUSED))
        found = self.verdicts({'post_copy': True}, paused)
        self.assertEqual(events.Verdict.PASSED, found['post-copy'])

    def test_the_older_end_decides_what_goes_together(self):
        new = dataclasses.replace(_THERE, hypervisor=10_001_000)
        both = {'parallel_connections': 2, 'post_copy': True}
        self.assertEqual(
            events.Verdict.FAILED,
            self.verdicts(both, there=new)['options'],
        )
        self.assertEqual(
            events.Verdict.PASSED,
            self.verdicts(both, _subject(host=new), new)['options'],
        )
