"""Pre-flight over the means of a migration, once both ends are known.

What no libvirt tells of its host is said to be unknown, with the way to find
out. The executor there knows it (:mod:`.provisions`) and is asked next; where
there is none, a wish that the destination cannot grant is refused by QEMU when
the migration starts, before anything is copied.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.migration.options import forgone
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import certificates
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import departure
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import verdicts

_GIB_KIB = 2**20


def checks(
    there: connection.Connection,
    subject: departure.Subject,
    told: identity.HostIdentity,
    options: request.Options,
    local: bool,
) -> list[events.Check]:
    """Say what stands in the way of the means that were asked for.

    :param told: what the destination says it is
    :param local: this process sees the file systems of the source host
    :raises HypervisorUnreachable: when it stops answering
    """
    found = [
        option_check(options, subject.host, told),
        _bandwidth_check(there, options),
    ]
    if options.post_copy:
        found.append(_post_copy_check(subject))
    if options.tls:
        found += _tls_checks(local)
    return found


def option_check(
    options: request.Options, *ends: identity.HostIdentity
) -> events.Check:
    """Say whether the means go together, with the versions of *ends*."""
    refused = combinations.refusals(
        options,
        combinations.Versions(
            hypervisor=min(end.hypervisor for end in ends),
            library=min(end.library for end in ends),
        ),
    )
    if not refused:
        return verdicts.passed('options')
    return verdicts.failed(
        'options',
        '; '.join(one.reason for one in refused),
        '; '.join(dict.fromkeys(one.remedy for one in refused)),
    )


def _post_copy_check(subject: departure.Subject) -> events.Check:
    name = forgone.POST_COPY
    backing = subject.facts.memory
    if subject.end.state == events.EndState.PAUSED:
        return verdicts.passed(
            name, 'the instance is paused: it goes without post-copy'
        )
    if not backing.comes_late:
        kind = 'persistent' if backing.persistent else 'file-backed'
        return verdicts.forgone(
            name,
            f'its memory is {kind}, and its pages cannot be fetched late',
            'keep its memory out of files, for it to have post-copy',
        )
    coarse = ''
    if any(size >= _GIB_KIB for size in backing.page_kib):
        coarse = (
            '; it has pages of 1 GiB, and stands still while each is fetched'
        )
    return verdicts.unknown(
        name,
        "whether the destination's kernel lets QEMU use userfaultfd is told "
        f'by no libvirt{coarse}',
        'see to it there: sysctl vm.unprivileged_userfaultfd=1; where it is '
        'not allowed, the start is refused before anything is copied',
    )


def _tls_checks(local: bool) -> list[events.Check]:
    here = (
        certificates.check_source()
        if local
        else _tls_unknown(certificates.SOURCE, 'source')
    )
    return [here, _tls_unknown(certificates.DESTINATION, 'destination')]


def _tls_unknown(name: str, host: str) -> events.Check:
    """Say that it is not known, and why it may be started all the same.

    Where QEMU has no certificates, or those of the other end do not do, it
    ends the migration before its first byte (seen with libvirt 9.0).
    """
    return verdicts.unknown(
        name,
        f'whether the {host} has certificates for migration is told by no '
        'libvirt',
        'have them in /etc/pki/qemu or /etc/pki/libvirt-migrate, as qemu.conf '
        'says; where they are missing or do not fit, the start is refused '
        'before anything is copied',
    )


def _bandwidth_check(
    there: connection.Connection, options: request.Options
) -> events.Check:
    name = headroom.DESTINATION
    try:
        arriving = sorted(there.call(arrivals.arriving_mib))
    except failures.Refused as error:
        return verdicts.unknown(name, str(error))
    limit = options.bandwidth_mib_s
    wanted = f'the {limit} MiB/s of this one' if limit else 'this one'
    coming, remedy = '', 'see there what goes over it: ip -s link'
    if arriving:
        coming = f', and {", ".join(arriving)} arrive there already'
        remedy = 'wait for them, or limit each of them: --bandwidth'
    return verdicts.unknown(
        name,
        f"how much of the destination's network is left for {wanted} is told "
        f'by no libvirt{coming}',
        remedy,
    )
