"""The questions that are asked before a migration touches anything.

What both ends say is gathered by calls that change nothing; each check then
answers passed, failed with a reason and a remedy, or could not tell. What
concerns the source is in :mod:`.departure`, what concerns the destination
in :mod:`.arrival`; here is their order, and the way between the two. Where
an end does not answer at all, what would have been asked there is left out.
"""

import collections.abc
import dataclasses
import uuid as uuids

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.options import forgone
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import announcing
from kvm_balancer.virt.libvirt import arrival
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import images
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import means
from kvm_balancer.virt.libvirt import resolution
from kvm_balancer.virt.libvirt import storage
from kvm_balancer.virt.libvirt import transfer
from kvm_balancer.virt.libvirt import verdicts

_TAKE_AWAY = 'see to what it names'

#: Refusals that the migration itself would meet as well, and what to do.
_NEVER = {
    libvirt.VIR_ERR_MIGRATE_UNSAFE: (
        'have its disks on a file system that libvirt knows to be shared, as '
        'NFS, or listed as shared_filesystems in qemu.conf, where libvirt has '
        'that option'
    ),
    libvirt.VIR_ERR_OPERATION_INVALID: _TAKE_AWAY,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: _TAKE_AWAY,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: _TAKE_AWAY,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: _TAKE_AWAY,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """Where the questions are asked, and about what.

    :param local: this process stands on the source host itself
    """

    source: connection.Connection
    destination: connection.Connection
    wanted: request.Request
    manage: ownership.Manage
    local: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What both ends said.

    :ivar copies: disks that are to be copied along
    :ivar cards: its network cards that a bridge of this host can tell of
    """

    checks: tuple[events.Check, ...]
    copies: tuple[images.Copy, ...] = ()
    cards: announcing.Cards = dataclasses.field(
        default_factory=announcing.Cards
    )


def check(asked: Situation) -> Findings:
    """Ask both ends, and say what stands in the way."""
    wanted = asked.wanted
    try:
        subject = asked.source.call(
            lambda handle: departure.read_subject(handle, wanted.instance)
        )
    except errors.NotFound:
        missing = f'{wanted.source} has no instance {wanted.instance}'
        remedy = 'see where it is now: kvm-balancer instances'
        return Findings((verdicts.failed('source', missing, remedy),))
    except errors.KVMBalancerError as error:
        remedy = 'see to libvirt there'
        return Findings((verdicts.failed('source', str(error), remedy),))
    found = [
        verdicts.passed('source'),
        *departure.checks(subject, asked.manage, asked.local),
        *resolution.checks(wanted.migration_address, asked.local),
    ]
    try:
        told = asked.destination.call(identity.identify)
        found.append(verdicts.passed('destination'))
        found += arrival.checks(asked.destination, subject, told)
        found += means.checks(
            asked.destination, subject, told, wanted.options, asked.local
        )
        disks = storage.survey(
            asked.source,
            asked.destination,
            subject,
            wanted.options,
            asked.local,
        )
    except errors.HypervisorUnreachable as error:
        return Findings(
            (
                *found,
                means.option_check(wanted.options, subject.host),
                verdicts.failed(
                    'destination',
                    str(error),
                    f'see to libvirt on {wanted.destination}',
                ),
            )
        )
    found += disks.checks
    if all(one.verdict != events.Verdict.FAILED for one in found):
        options = forgone.settle(wanted.options, found)
        found.append(_path_check(asked, options, subject.end, disks.copies))
    cards = announcing.Cards()
    if asked.local:
        cards = announcing.read_cards(subject.facts)
    return Findings(tuple(found), disks.copies, cards)


def _path_check(
    asked: Situation,
    options: request.Options,
    seen: events.End,
    copies: collections.abc.Sequence[images.Copy],
) -> events.Check:
    """See whether the source's own libvirt would migrate to the destination's.

    It is asked to, as it is going to be, but with a definition of which no
    libvirt could make anything: it connects first, looks at the instance by
    rules of its own, and reads the definition after that, so what it
    complains about tells how far it came. The guest is not touched (seen with
    libvirt 9.0).
    """
    name = 'path'
    disks = transfer.Transfer(copies, keep=True)
    probe = jobs.parameters(options, '', 0, disks.targets)
    probe[libvirt.VIR_MIGRATE_PARAM_DEST_XML] = f'<none-{uuids.uuid4()}'
    flags = jobs.flags(
        options,
        persistent=False,
        paused=seen.state is events.EndState.PAUSED,
        storage=disks.flag,
    )
    try:
        asked.source.call(
            lambda handle: handle.lookupByUUIDString(
                asked.wanted.instance
            ).migrateToURI3(asked.wanted.destination_uri, probe, flags)
        )
    except failures.Refused as error:
        if error.domain in (libvirt.VIR_FROM_XML, libvirt.VIR_FROM_DOMAIN):
            return verdicts.passed(name)
        if _is_no_connection(error):
            return verdicts.failed(
                name,
                "the source's libvirt does not reach the destination's at "
                f'{asked.wanted.destination_uri}: {error}',
                'let the hosts reach each other, with credentials for '
                "libvirt's own user",
            )
        if error.code in _NEVER:
            return verdicts.failed(
                name,
                f"the source's libvirt refuses to migrate it: {error}",
                _NEVER[error.code],
            )
        return verdicts.unknown(name, str(error))
    except errors.KVMBalancerError as error:
        return verdicts.unknown(name, str(error))
    return verdicts.unknown(name, 'libvirt took what makes no sense')


def _is_no_connection(error: failures.Refused) -> bool:
    return error.domain in (
        libvirt.VIR_FROM_RPC,
        libvirt.VIR_FROM_REMOTE,
    ) or error.code in (
        libvirt.VIR_ERR_OPERATION_FAILED,
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_NO_CONNECT,
    )
