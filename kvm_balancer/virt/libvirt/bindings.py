"""What a definition names that each host has to have for itself.

The destination starts QEMU by the same words: secrets are looked up there,
and graphics are to listen at an address of it.
"""

import dataclasses
import functools
import ipaddress
from xml.etree import ElementTree

import libvirt

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import verdicts

_SECRETS = 'secrets'
_GRAPHICS = 'graphics'

_USAGES = {
    'volume': libvirt.VIR_SECRET_USAGE_TYPE_VOLUME,
    'ceph': libvirt.VIR_SECRET_USAGE_TYPE_CEPH,
    'iscsi': libvirt.VIR_SECRET_USAGE_TYPE_ISCSI,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a domain needs to start.

    :ivar uuid: empty where it is named by its use
    :ivar kind: libvirt's word for that use
    """

    uuid: str = ''
    kind: str = ''
    usage: str = ''

    def __str__(self) -> str:
        return self.uuid or f'{self.kind} {self.usage}'


def secrets(root: ElementTree.Element) -> tuple[Secret, ...]:
    """Return the secrets of a domain's disks and of its TPM."""
    found = [
        Secret(one.get('uuid', ''), one.get('type', ''), one.get('usage', ''))
        for one in root.iterfind('devices/disk//secret')
    ]
    found += [
        Secret(uuid)
        for one in root.iterfind('devices/tpm/backend/encryption')
        if (uuid := one.get('secret'))
    ]
    return tuple(dict.fromkeys(found))


def listens(root: ElementTree.Element) -> tuple[str, ...]:
    """Return the addresses of its host alone at which graphics listen.

    An address that a network of libvirt gave is looked up anew there.
    """
    found = (
        one.get('address', '')
        for one in root.iterfind('devices/graphics/listen')
        if one.get('type') == 'address'
    )
    return tuple(dict.fromkeys(one for one in found if _is_own(one)))


def _is_own(stated: str) -> bool:
    try:
        address = ipaddress.ip_address(stated)
    except ValueError:
        return stated not in ('', 'localhost')
    return not (address.is_unspecified or address.is_loopback)


def checks(
    there: connection.Connection,
    needed: tuple[Secret, ...],
    addresses: tuple[str, ...],
) -> list[events.Check]:
    """Say whether the destination has what is named.

    :raises HypervisorUnreachable: when it stops answering
    """
    found = []
    if needed:
        found.append(_secrets_check(there, needed))
    if addresses:
        found.append(
            verdicts.unknown(
                _GRAPHICS,
                f'its graphics listen at {", ".join(addresses)}, and whether '
                'the destination has that address is told by no libvirt; '
                'where it has not, the start is refused before anything is '
                'copied',
                'let them listen at 0.0.0.0, or at the address of a network '
                "of libvirt: <listen type='network'/>",
            )
        )
    return found


def _secrets_check(
    there: connection.Connection, needed: tuple[Secret, ...]
) -> events.Check:
    missing = []
    for one in needed:
        try:
            there.call(functools.partial(_look_up, one=one))
        except failures.Refused as error:
            if error.code != libvirt.VIR_ERR_NO_SECRET:
                return verdicts.unknown(
                    _SECRETS,
                    str(error),
                    'see on the destination: virsh secret-list',
                )
            missing.append(str(one))
    if not missing:
        return verdicts.passed(_SECRETS)
    return verdicts.failed(
        _SECRETS,
        f'the destination has no secret {", ".join(missing)}',
        'define it there with the same uuid and value: virsh secret-define',
    )


def _look_up(handle: connection.Handle, one: Secret) -> None:
    if one.uuid:
        handle.secretLookupByUUIDString(one.uuid)
    elif one.kind in _USAGES:
        handle.secretLookupByUsage(_USAGES[one.kind], one.usage)
