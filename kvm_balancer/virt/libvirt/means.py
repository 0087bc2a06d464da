"""Pre-flight over the means of a migration, once both ends are known.

What no libvirt tells of its host is said to be unknown, with the way to find
out. The executor there knows it (:mod:`.provisions`) and is asked next; where
there is none, a wish that the destination cannot grant is refused by QEMU when
the migration starts, before anything is copied.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.options import combinations
from kvm_balancer.virt.libvirt import arrivals
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
) -> list[events.Check]:
    """Say what stands in the way of the means that were asked for.

    :param told: what the destination says it is
    :raises HypervisorUnreachable: when it stops answering
    """
    found = [
        option_check(options, subject.host, told),
        _bandwidth_check(there, options),
    ]
    if options.post_copy:
        found.append(_post_copy_check(subject))
    if options.tls:
        found.append(_tls_check())
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
    name = 'post-copy'
    backing = subject.facts.memory
    if subject.end.state == events.EndState.PAUSED:
        return verdicts.passed(
            name, 'the instance is paused: it goes without post-copy'
        )
    if backing.persistent or backing.file:
        kind = 'persistent' if backing.persistent else 'file-backed'
        return verdicts.failed(
            name,
            f'its memory is {kind}, and its pages cannot be fetched late',
            'ask for no post-copy',
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


def _tls_check() -> events.Check:
    return verdicts.unknown(
        'tls',
        'whether both hosts have certificates for migration is told by no '
        'libvirt',
        'have them in /etc/pki/qemu or /etc/pki/libvirt-migrate, as qemu.conf '
        'says, on both; where they are missing or do not fit, the start is '
        'refused before anything is copied',
    )


def _bandwidth_check(
    there: connection.Connection, options: request.Options
) -> events.Check:
    name = 'bandwidth'
    try:
        arriving = sorted(there.call(arrivals.arriving_mib))
    except failures.Refused as error:
        return verdicts.unknown(name, str(error))
    if not arriving:
        return verdicts.passed(name)
    limit = options.bandwidth_mib_s
    wanted = f'the {limit} MiB/s of this one' if limit else 'this one'
    return verdicts.unknown(
        name,
        f'{", ".join(arriving)} arrive there already: how much of the '
        f'network is left for {wanted} is told by no libvirt',
        'wait for them, or limit each of them: --bandwidth',
    )
