"""Pre-flight on the destination: has it the CPU that the guest was given?"""

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import verdicts

_NAME = 'cpu'
#: So many missing features are enough to see what is wrong.
_MOST_FEATURES = 8
#: Models that are whatever the host has.
_OF_HOST = ('host-passthrough', 'maximum')
#: An incompatible CPU is an error then, which names the missing features.
_TELL = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
_COMPARE = 'compare there: virsh hypervisor-cpu-compare --error'


def check(
    there: connection.Connection,
    facts: documents.DomainFacts,
    here: identity.HostIdentity,
) -> events.Check:
    """Hold the CPU of the guest against that of the destination.

    :param here: the source: the guest may have its CPU as it is
    :raises HypervisorUnreachable: when the destination stops answering
    """
    if facts.virt_type != 'kvm' or not facts.cpu:
        # Emulation makes any CPU out of any other.
        return verdicts.passed(_NAME)
    whole = next((mode for mode in _OF_HOST if mode in facts.cpu), None)
    try:
        if whole is None:
            _compare_guest(there, facts)
            return verdicts.passed(_NAME)
        if not here.cpu:
            return verdicts.unknown(
                _NAME, 'libvirt does not tell the CPU of the source', _COMPARE
            )
        same = there.call(lambda handle: handle.compareCPU(here.cpu, _TELL))
    except failures.Refused as error:
        if error.code != libvirt.VIR_ERR_CPU_INCOMPATIBLE:
            return verdicts.unknown(_NAME, str(error), _COMPARE)
        given = f'the guest has the CPU of its host ({whole}); '
        return verdicts.failed(
            _NAME,
            f'{given if whole else ""}on the destination {_shortened(error)}',
            'choose another destination, or a CPU model that all hosts offer',
        )
    if same == libvirt.VIR_CPU_COMPARE_IDENTICAL:
        return verdicts.passed(_NAME)
    return verdicts.unknown(
        _NAME,
        f'the guest has the CPU of its host ({whole}), and that of the '
        'destination has more: it would change while the guest runs',
        'use a named CPU model that all hosts offer',
    )


def _shortened(error: failures.Refused) -> str:
    """Return what libvirt says, with not all features that are missing."""
    before, mark, listed = str(error).rpartition(': ')
    names = listed.split(', ')
    if len(names) <= _MOST_FEATURES:
        return str(error)
    left = len(names) - _MOST_FEATURES
    some = ', '.join(names[:_MOST_FEATURES])
    return f'{before}{mark}{some} and {left} more'


def _compare_guest(
    there: connection.Connection, facts: documents.DomainFacts
) -> None:
    """Ask whether QEMU makes this CPU there; an error says it does not."""
    there.call(
        lambda handle: handle.compareHypervisorCPU(
            facts.emulator,
            facts.arch,
            facts.machine,
            facts.virt_type,
            facts.cpu,
            _TELL,
        )
    )
