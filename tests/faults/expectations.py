"""What has to hold after every fault, in every phase.

:func:`problems` looks once and returns what is not so yet; whoever asks does
so until there is nothing left, or it has taken too long.
"""

import contextlib
import dataclasses

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import processes
from kvm_balancer.lab import sight
from kvm_balancer.lab.faults import contract
from kvm_balancer.model import outcome

Fate = contract.Fate
_UNKNOWN = outcome.OutcomeKind.UNKNOWN


@dataclasses.dataclass(frozen=True)
class Case:
    """One run, as it is judged.

    :ivar migration_id: of the migration that was struck
    """

    ground: object
    guest: object
    watch: sight.Watch
    migration_id: str
    fault: contract.Fault
    phase: contract.Phase

    @property
    def fate(self):
        return self.fault.fates[self.phase]

    def copies(self):
        """Return the hosts with a QEMU of the guest, by its state."""
        return {
            name: look.state
            for name, look in self.watch.now().items()
            if look.state != sight.ABSENT
        }


def problems(case):
    """Return what is not as it has to be, a line each."""
    return [
        *_of_places(case),
        *_of_outcomes(case),
        *_of_journals(case),
        *_of_remains(case),
    ]


def _of_places(case):
    found = []
    if case.watch.twice:
        found.append(
            f'it ran twice, {len(case.watch.twice)} times at '
            f'{case.watch.twice[0]:.2f} s first'
        )
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
    if len(copies) > 1:
        found.append(f'two copies are left: {copies}')
    if copies and not running and case.fate is not Fate.PAUSED and not told:
        found.append(f'it is left paused, and nobody told: {copies}')
    return found


def _known(case):
    return case.ground.outcomes.of(case.migration_id)


def _of_outcomes(case):
    """Once on the bus: once unknown at most, and once for good."""
    told = _known(case)
    if not told:
        return ['its outcome was not told']
    unknown = [one for one in told if one.outcome is _UNKNOWN]
    known = [one for one in told if one.outcome is not _UNKNOWN]
    found = []
    if len(unknown) > 1 or len(known) > 1:
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
    one, two = (host.name for host in case.ground.lab.hosts)
    wanted = {
        outcome.OutcomeKind.COMPLETED: two,
        outcome.OutcomeKind.FAILED: one,
        outcome.OutcomeKind.CANCELLED: one,
    }.get(ended.outcome)
    if where and wanted and where != [wanted]:
        return [f'it is said to be {ended.outcome}, and is at {where}']
    return []


def _of_journals(case):
    found = []
    for host in case.ground.lab.hosts:
        kept = case.ground.journal(host)
        found += [
            f'the journal of {host.name} still has {row["migration_id"]} as '
            f'{row["state"]}'
            for row in kept['journal']
            if not row['ended'] and row['state'] != _UNKNOWN.value
        ]
        for table in ('messages', 'leases'):
            if kept[table]:
                found.append(
                    f'{host.name} still has {len(kept[table])} {table}'
                )
    return found


def _of_remains(case):
    """Nothing of it is left where it is not."""
    found = []
    copies = case.copies()
    defined = {}
    for host in case.ground.lab.hosts:
        with contextlib.closing(host.connect()) as connection:
            names = {
                one.name(): one.isActive()
                for one in connection.listAllDomains()
            }
        if case.guest.name in names:
            defined[host.name] = bool(names[case.guest.name])
        pids = [
            pid
            for pid in processes.belonging(host.directory)
            if processes.runs_with(pid, f'guest={case.guest.name},')
        ]
        if len(pids) > (host.name in copies):
            found.append(f'{host.name} has QEMU processes of it: {pids}')
    away = [name for name in defined if copies and name not in copies]
    if away:
        found.append(f'its definition is left at {away}')
    unknown_to_libvirt = [
        name for name in copies if not defined.get(name, False)
    ]
    if unknown_to_libvirt:
        found.append(f'libvirt does not know it at {unknown_to_libvirt}')
    return found


def memory_problems(case):
    """Return what is wrong with what the guest says of its memory.

    It has to go over all of it once more, where it runs.
    """
    running = [
        name for name, state in case.copies().items() if state == 'running'
    ]
    if not running:
        return []
    (host,) = (case.ground.lab.host(name) for name in running)
    guest = case.guest
    fast = bootsector.Load(0.05, 200.0, guest.description.load.working_set_mib)
    try:
        case.ground.lab.set_load(guest, host, fast)
        guest.wait_for_rounds(2)
    except Exception as error:
        return [f'the guest does not go on: {error}']
    told = guest.log.read_text(errors='replace')
    if case.fault.reboots:
        told = told[max(0, told.rfind('R 1 ')) :]
    report = bootsector.read(told)
    found = []
    if report.damaged:
        found.append(f'{report.damaged} pages are damaged')
    if not report.in_order:
        found.append('its rounds are not in order: it ran twice, or lost one')
    return found
