"""Pre-flight on the source: may this instance leave, as it is now?"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.model import owners
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import leases
from kvm_balancer.virt.libvirt import verdicts


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """The instance as its source has it.

    :ivar block_jobs: disks on which a job runs
    :ivar sizes: of disks in files, bytes that the guest sees and bytes that
        are stored
    """

    facts: documents.DomainFacts
    end: events.End
    snapshots: int
    block_jobs: tuple[str, ...]
    host: identity.HostIdentity
    sizes: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)


def read_subject(handle: connection.Handle, uuid: str) -> Subject:
    """Ask the source about one of its domains."""
    domain = handle.lookupByUUIDString(uuid)
    facts = documents.read_domain(domain.XMLDesc(0))
    # One that arrives does not answer, and is refused for that.
    answers = domain.isActive() and not arrivals.is_arriving(domain)
    disks = facts.disks if answers else ()
    return Subject(
        facts=facts,
        end=ends.read_end(domain),
        snapshots=domain.snapshotNum(0),
        block_jobs=tuple(
            disk.target
            for disk in disks
            if disk.source and domain.blockJobInfo(disk.target, 0)
        ),
        host=identity.identify(handle),
        sizes={
            disk.target: tuple(domain.blockInfo(disk.target)[:2])
            for disk in disks
            if disk.kind == 'file' and disk.source
        },
    )


def checks(
    subject: Subject,
    manage: ownership.Manage,
    local: bool,
) -> list[events.Check]:
    """Say what about the instance stands in the way.

    :param local: this process sees the file systems of the source host
    """
    return [
        _owner_check(subject, manage),
        _state_check(subject.end),
        *_blocker_checks(subject),
        leases.check(subject.facts, subject.end, local),
    ]


def _owner_check(subject: Subject, manage: ownership.Manage) -> events.Check:
    owner, reason = ownership.owner_of(subject.facts.marks, manage)
    if owner == owners.Owner.BALANCER:
        return verdicts.passed('owner')
    return verdicts.failed('owner', reason, 'leave it to its owner')


def _state_check(end: events.End) -> events.Check:
    if end.state not in (events.EndState.RUNNING, events.EndState.PAUSED):
        return verdicts.failed(
            'state',
            f'the instance is not running: {end.detail}',
            'start it, or wait until what is done to it is over',
        )
    if end.trouble == ends.IO_ERROR:
        return verdicts.failed(
            'state',
            f'{end.trouble} has paused it, and libvirt does not migrate it so',
            'see to its disks, then resume it: virsh resume',
        )
    if end.job_active:
        return verdicts.failed(
            'state',
            'another job, perhaps a migration, holds the instance',
            'wait for it to end, or abort it: virsh domjobabort',
        )
    return verdicts.passed('state')


def _blocker_checks(subject: Subject) -> list[events.Check]:
    facts = subject.facts
    blockers = (
        (
            'devices',
            facts.pass_through,
            'devices of the host cannot move: ',
            'unplug them first',
        ),
        (
            'bound',
            facts.bound,
            'libvirt or QEMU keeps it on its host for ',
            'take it out of the definition first',
        ),
        (
            'file systems',
            facts.file_systems,
            'directories shared with the host cannot move: ',
            'detach them first',
        ),
        (
            'snapshots',
            (str(subject.snapshots),) if subject.snapshots else (),
            'libvirt does not migrate a domain with snapshots: ',
            'delete them, or their metadata: virsh snapshot-delete',
        ),
        (
            'block jobs',
            subject.block_jobs,
            'jobs run on its disks: ',
            'wait for them to end, or abort them: virsh blockjob --abort',
        ),
    )
    return [
        verdicts.failed(name, text + ', '.join(found), remedy)
        if found
        else verdicts.passed(name)
        for name, found, text, remedy in blockers
    ]
