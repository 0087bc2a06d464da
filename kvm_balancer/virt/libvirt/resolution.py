"""Whether the source knows the host that the memory is to be sent to.

It is the source's QEMU or libvirt that connects to it. Where none is stated
the destination's libvirt names itself when the migration starts.
"""

import ipaddress

from kvm_balancer.migration import events
from kvm_balancer.virt import resolver
from kvm_balancer.virt.libvirt import verdicts

NAME = 'address'


def checks(address: str, local: bool) -> list[events.Check]:
    """Say whether an address for the stream can be resolved.

    :param address: as it was stated; empty for none
    :param local: this process stands on the source host itself
    :returns: none where no address was stated
    """
    if not address:
        return []
    if _is_literal(address):
        return [verdicts.passed(NAME)]
    see = f'see on the source: getent ahosts {address}'
    if not local:
        return [
            verdicts.unknown(
                NAME,
                f'whether the source resolves {address}, which the memory is '
                'to be sent to, cannot be seen from here',
                see,
            )
        ]
    try:
        resolver.resolve(address)
    except resolver.NoSuchName as error:
        return [
            verdicts.failed(
                NAME,
                f'on the source, which is to send the memory there, {error}',
                'let the source know the name, or state an address: '
                '[host] migration_address of the destination, or '
                '--migration-address',
            )
        ]
    except resolver.NoAnswer as error:
        return [verdicts.unknown(NAME, str(error), see)]
    return [verdicts.passed(NAME)]


def _is_literal(address: str) -> bool:
    """Say whether nothing is to be resolved, brackets or not."""
    try:
        ipaddress.ip_address(address.removeprefix('[').removesuffix(']'))
    except ValueError:
        return False
    return True
