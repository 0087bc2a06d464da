"""Pre-flight on the destination: what the instance is plugged into."""

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import verdicts

_NAME = 'networks'


def checks(
    there: connection.Connection, facts: documents.DomainFacts
) -> list[events.Check]:
    """Say whether the destination has its networks and bridges.

    :raises HypervisorUnreachable: when it stops answering
    """
    if not (facts.bridges or facts.networks):
        return []
    try:
        missing = [
            f'no bridge or interface {name}'
            for name in facts.bridges
            if not _has_interface(there, name)
        ]
        missing += [
            trouble
            for name in facts.networks
            if (trouble := _network_trouble(there, name))
        ]
    except failures.Refused as error:
        return [
            verdicts.unknown(
                _NAME,
                str(error),
                'see on the destination: ip link; virsh net-list --all',
            )
        ]
    if not missing:
        return [verdicts.passed(_NAME)]
    return [
        verdicts.failed(
            _NAME,
            f'the destination has {", ".join(missing)}',
            'create it there first, as it is on the source',
        )
    ]


def _has_interface(there: connection.Connection, name: str) -> bool:
    try:
        there.call(lambda handle: handle.interfaceLookupByName(name))
    except failures.Refused as error:
        if error.code == libvirt.VIR_ERR_NO_INTERFACE:
            return False
        raise
    return True


def _network_trouble(there: connection.Connection, name: str) -> str:
    """Return what is wrong with a network of libvirt; empty for nothing."""
    try:
        active = there.call(
            lambda handle: handle.networkLookupByName(name).isActive()
        )
    except errors.NotFound:
        return f'no network {name}'
    except failures.Refused as error:
        if error.code == libvirt.VIR_ERR_NO_NETWORK:
            return f'no network {name}'
        raise
    return '' if active else f'network {name}, which is not active'
