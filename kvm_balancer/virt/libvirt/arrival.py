"""Pre-flight on the destination: can this instance live there?"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import bindings
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import cpu
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import memory
from kvm_balancer.virt.libvirt import pinning
from kvm_balancer.virt.libvirt import plugs
from kvm_balancer.virt.libvirt import verdicts


def checks(
    there: connection.Connection,
    subject: departure.Subject,
    told: identity.HostIdentity,
) -> list[events.Check]:
    """Say what about the destination stands in the way.

    :param told: what the destination says it is
    :raises HypervisorUnreachable: when it stops answering
    """
    if told.uuid == subject.host.uuid:
        return [
            verdicts.failed(
                'hosts',
                'source and destination are the same host, or share a uuid: '
                f'{told.uuid}',
                'give every host its own host_uuid in libvirtd.conf',
            )
        ]
    facts = subject.facts
    return [
        verdicts.passed('hosts'),
        _version_check(subject.host, told),
        _identity_check(there, facts),
        _machine_check(there, facts),
        cpu.check(there, facts, subject.host),
        *memory.checks(there, facts, told),
        *pinning.checks(there, facts.pins, told.nodes),
        *plugs.checks(there, facts),
        *bindings.checks(there, facts.secrets, facts.listens),
    ]


def _version_check(
    here: identity.HostIdentity, there: identity.HostIdentity
) -> events.Check:
    older = []
    if there.hypervisor < here.hypervisor:
        older.append(
            f'QEMU {there.hypervisor_version} is older than '
            f'{here.hypervisor_version}'
        )
    if there.library < here.library:
        older.append(
            f'libvirt {there.library_version} is older than '
            f'{here.library_version}'
        )
    if not older:
        return verdicts.passed('versions')
    return verdicts.failed(
        'versions',
        'on the destination ' + ' and '.join(older),
        'bring the destination up to the source first',
    )


def _identity_check(
    there: connection.Connection,
    facts: documents.DomainFacts,
) -> events.Check:
    for what, ask in (
        ('uuid', lambda handle: handle.lookupByUUIDString(facts.uuid).name()),
        ('name', lambda handle: handle.lookupByName(facts.name).UUIDString()),
    ):
        try:
            held_by = there.call(ask)
        except errors.NotFound:
            continue
        return verdicts.failed(
            'identity',
            f'the destination has a domain with the same {what} already: '
            f'{held_by}',
            'look at it, and undefine it there when it is a left-over: '
            'virsh undefine',
        )
    return verdicts.passed('identity')


def _machine_check(
    there: connection.Connection,
    facts: documents.DomainFacts,
) -> events.Check:
    try:
        there.call(
            lambda handle: handle.getDomainCapabilities(
                facts.emulator, facts.arch, facts.machine, facts.virt_type
            )
        )
    except failures.Refused as error:
        return verdicts.failed(
            'machine',
            f'the destination cannot run it: {error}',
            'install the same QEMU there',
        )
    return verdicts.passed('machine')
