"""What has to hold after every fault, in every phase.

:func:`problems` looks once and returns what is not so yet; whoever asks does
so until there is nothing left, or it has taken too long.
"""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import sight
from kvm_balancer.lab import storage
from kvm_balancer.lab.faults import contract
from kvm_balancer.model import outcome
from tests.faults import ground as grounds
from tests.faults import remains

Fate = contract.Fate
_UNKNOWN = outcome.OutcomeKind.UNKNOWN


@dataclasses.dataclass(frozen=True)
class Case:
    """One run, as it is judged.

    :ivar migration_id: of the migration that was struck
    :ivar limits: what its migrations were limited to before
    :ivar others: the migrations of it that were accepted beside that one
    """

    ground: object
    guest: object
    watch: sight.Watch
    migration_id: str
    fault: contract.Fault
    phase: contract.Phase
    limits: dict
    others: list

    @property
    def fate(self):
        fate = self.fault.fates[self.phase]
        if fate is not Fate.LIVES_UNLESS_IT_RAN:
            return fate
        return Fate.EITHER if self.has_arrived() else Fate.LIVES

    def has_arrived(self):
        """Say whether it was seen to run on the destination."""
        return self.watch.has_run_at(self.ground.lab.hosts[1].name)

    def is_left_to_a_person(self):
        """Say whether no copy is whole, and what there is was told."""
        told = self.ground.outcomes.of(self.migration_id)
        return (
            self.fate is Fate.BROKEN
            and bool(told)
            and told[-1].outcome is _UNKNOWN
        )

    def disk_host(self):
        """Return the host that has the disk as it was written last."""
        source, destination = self.ground.lab.hosts
        running = [
            host
            for host in (source, destination)
            if self.copies().get(host.name) == sight.RUNNING
        ]
        if len(running) == 1:
            return running[0]
        return destination if self.has_arrived() else source

    def copies(self):
        """Return the hosts with a QEMU of the guest, by its state."""
        return {
            name: look.state
            for name, look in self.watch.now().items()
            if look.state != sight.ABSENT
        }


def problems(case):
    """Return what is not as it has to be, a line each."""
    found = [*_of_places(case), *_of_outcomes(case), *_of_others(case)]
    if found:
        # The rest costs more to look at, and waits for this anyhow.
        return found
    found = remains.of_journals(case)
    if not case.is_left_to_a_person():
        found += remains.of_hosts(case)
    return found


def twice(case):
    """Return what there is to say of two copies that ran at once."""
    seen = case.watch.twice
    if not seen:
        return []
    return [f'it ran twice, {len(seen)} times, at {seen[0]:.2f} s first']


def _of_places(case):
    found = []
    copies = case.copies()
    running = [name for name, state in copies.items() if state == 'running']
    told = _known(case)
    match case.fate:
        case Fate.LIVES if len(running) != 1:
            found.append(f'it has to run at one host: {copies}')
        case Fate.PAUSED if len(copies) != 1:
            found.append(f'it has to be at one host: {copies}')
        case Fate.ENDS if running:
            found.append(f'it was to end, and runs: {copies}')
        case Fate.BROKEN if copies and not case.is_left_to_a_person():
            found.append(f'what is left of it was not told: {copies}')
        case Fate.BROKEN if told and told[0].outcome is not _UNKNOWN:
            found.append(f'no person was called: {told[0].reason}')
    if len(copies) > 1:
        found.append(f'two copies are left: {copies}')
    if copies and not running and not _says_paused(told):
        found.append(f'it is left paused, and nobody told: {copies}')
    source = case.ground.lab.hosts[0].name
    if running == [source] and case.has_arrived() and not _is_unknown(told):
        found.append('it runs at its source again, older than it was')
    return found


def _is_unknown(told):
    return bool(told) and told[-1].outcome is _UNKNOWN


def _says_paused(told):
    """Say whether whoever reads the end of it learns that it stands still."""
    return _is_unknown(told) or (bool(told) and 'paused' in told[-1].reason)


def _known(case):
    return case.ground.outcomes.of(case.migration_id)


def _of_outcomes(case):
    """Once on the bus: once for good, and before it each unknown once."""
    told = _known(case)
    if not told:
        return ['its outcome was not told']
    unknown = [one for one in told if one.outcome is _UNKNOWN]
    known = [one for one in told if one.outcome is not _UNKNOWN]
    found = []
    again = len(unknown) > len({one.reason for one in unknown})
    if again or len(known) > 1:
        kinds = [str(one.outcome) for one in told]
        found.append(f'its outcome was told more than once: {kinds}')
    if case.fate in (Fate.LIVES, Fate.PAUSED) and not known:
        found.append(f'it stays unknown: {told[-1].reason}')
    if not all(one.reason for one in told):
        found.append('an outcome has no reason')
    found += _of_truth(case, told[-1])
    try:
        recorded = case.ground.recorded(case.migration_id)['outcome']
    except Exception as error:
        found.append(f'the agent does not tell of it: {error}')
    else:
        if recorded != told[-1].outcome.value:
            found.append(
                f'the agent has it as {recorded}, its executor as '
                f'{told[-1].outcome}'
            )
    return found


def _of_truth(case, ended):
    """The outcome has to say where it is."""
    where = list(case.copies())
    completed = ended.outcome is outcome.OutcomeKind.COMPLETED
    if completed and not where and not case.has_arrived():
        return ['it is said to have arrived, and was never seen to run there']
    known = ended.outcome is not _UNKNOWN
    if known and not (completed or where or 'shut off' in ended.reason):
        return [f'it is nowhere, and told as: {ended.reason}']
    one, two = (host.name for host in case.ground.lab.hosts)
    wanted = {
        outcome.OutcomeKind.COMPLETED: two,
        outcome.OutcomeKind.FAILED: one,
        outcome.OutcomeKind.CANCELLED: one,
    }.get(ended.outcome)
    if where and wanted and where != [wanted]:
        return [f'it is said to be {ended.outcome}, and is at {where}']
    return []


def _of_others(case):
    """What was asked for beside it was refused, and said so, once."""
    found = []
    for migration_id in case.others:
        told = [
            str(one.outcome) for one in case.ground.outcomes.of(migration_id)
        ]
        if told != [str(outcome.OutcomeKind.FAILED)]:
            found.append(f'another migration of it was told as {told}')
    return found


def content_problems(case):
    """Return what is wrong with the memory and the disk of the guest.

    Where it runs, it has to go over all of both again.
    """
    running = [
        name for name, state in case.copies().items() if state == 'running'
    ]
    found = []
    if len(running) == 1 and case.fate is not Fate.BROKEN:
        found += _go_round(case, case.ground.lab.host(running[0]))
    before = _report(case)
    disk = case.guest.disk_at(case.disk_host()).read_bytes()
    report = _report(case)
    if report.damaged:
        found.append(f'{report.damaged} pages or sectors are damaged')
    if not report.in_order:
        found.append(
            'its rounds are not in order, as if it had run twice, or lost '
            f'one: {report.disorder}'
        )
    lost = bootsector.lost_rounds(disk, before.rounds, report.rounds)
    if lost:
        found.append(f'its disk has lost the rounds {lost}')
    return found + _of_disks(case)


def _of_disks(case):
    """Both disks hold what no guest writes to, where there are two."""
    if not case.guest.description.local_disk:
        return []
    hosts = dict.fromkeys((case.ground.lab.hosts[0], case.disk_host()))
    return [
        f'the disk at {host.name} is not whole'
        for host in hosts
        if not storage.is_whole(case.guest.disk_at(host), case.guest.name)
    ]


def _go_round(case, host):
    guest = case.guest
    fast = bootsector.Load(
        0.05, grounds.FAST_MIB_S, guest.description.load.working_set_mib
    )
    try:
        case.ground.lab.set_load(guest, host, fast)
        guest.wait_for_rounds(bootsector.SLOTS + 2)
    except errors.LabError as error:
        return [f'the guest does not go on: {error}']
    return []


def _report(case):
    told = case.guest.log.read_text(errors='replace')
    if case.fault.reboots:
        told = told[max(0, told.rfind('R 00000001 ')) :]
    return bootsector.read(told)
