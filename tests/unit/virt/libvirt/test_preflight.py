"""Pre-flight where no real host of a test machine can be made to fail."""

import dataclasses
import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import arrival
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity

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

_HERE = identity.HostIdentity('here', 'Skylake-Server', 7_002_000, 9_000_000)
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
                'compareHypervisorCPU': 2,
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


class ArrivalTest(unittest.TestCase):
    def test_what_keeps_an_instance_out(self):
        failed, unknown = events.Verdict.FAILED, events.Verdict.UNKNOWN
        passthrough = '<cpu mode="host-passthrough"/>'
        older = dataclasses.replace(_THERE, hypervisor=7_001_000)
        older_library = dataclasses.replace(_THERE, library=8_000_000)
        newer = dataclasses.replace(_THERE, hypervisor=8_000_000)
        cases = (
            ({}, {}, _THERE, {}),
            ({}, {}, newer, {}),
            ({}, {}, older, {'versions': failed}),
            ({}, {}, older_library, {'versions': failed}),
            ({}, {}, _HERE, {'hosts': failed}),
            ({'compareHypervisorCPU': 0}, {}, _THERE, {'cpu': failed}),
            (
                {'compareHypervisorCPU': _refused()},
                {},
                _THERE,
                {'cpu': unknown},
            ),
            (
                {'compareHypervisorCPU': 0},
                {'virt_type': 'qemu'},
                _THERE,
                {},
            ),
            ({}, {'cpu': passthrough}, _THERE, {'cpu': unknown}),
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
                {'disks': (documents.Disk('vda', 'nvme', 'pci-1'),)},
                {},
                ['storage'],
            ),
        )
        for facts, changes, expected in cases:
            with self.subTest(facts=facts, changes=changes):
                subject = _subject(
                    facts=dataclasses.replace(_FACTS, **facts), **changes
                )
                checks = departure.checks(
                    subject, request.Options(), ownership.BY_HAND, local=False
                )
                found = [
                    one.name
                    for one in checks
                    if one.verdict == events.Verdict.FAILED
                ]
                self.assertEqual(expected, found)

    def test_means_that_do_not_go_together(self):
        new = dataclasses.replace(_HERE, hypervisor=10_001_000)
        both = {'parallel_connections': 2, 'post_copy': True}
        cases = (
            (both, _HERE, events.Verdict.FAILED),
            (both, new, events.Verdict.PASSED),
            (
                {'parallel_connections': 2, 'compression': 'xbzrle'},
                new,
                events.Verdict.FAILED,
            ),
            ({'compression': 'xbzrle'}, _HERE, events.Verdict.PASSED),
        )
        for options, host, expected in cases:
            with self.subTest(options=options, host=host):
                checks = departure.checks(
                    _subject(host=host),
                    request.Options(**options),
                    ownership.BY_HAND,
                    local=False,
                )
                (found,) = [one for one in checks if one.name == 'options']
                self.assertEqual(expected, found.verdict)
