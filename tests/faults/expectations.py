"""What has to hold after every fault, in every phase.

:func:`problems` looks once and returns what is not so yet; whoever asks does
so until there is nothing left, or it has taken too long.
"""

import dataclasses

from kvm_balancer.lab import sight
from kvm_balancer.lab.faults import contract
from kvm_balancer.migration.lifecycle import cases
from kvm_balancer.model import outcome
from tests.faults import remains

Fate = contract.Fate
_UNKNOWN = outcome.OutcomeKind.UNKNOWN
_BLIND = cases.Case.BLIND.value.reason
#: No copy is whole, or it is not for a program to say which one is.
_FOR_A_PERSON = (Fate.BROKEN, Fate.OUTRUN, Fate.WAITS, Fate.TWICE)


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
        """What may become of it, by what was seen so far."""
        fate = self.fault.fates[self.phase]
        match fate:
            case Fate.LIVES_UNLESS_IT_RAN:
                return Fate.OUTRUN if self.has_arrived() else Fate.LIVES
            case Fate.LIVES_IF_IT_RAN:
                return Fate.LIVES if self.has_arrived() else Fate.EITHER
            case Fate.LIVES_OR_WAITS:
                told = self.ground.outcomes.of(self.migration_id)
                return Fate.WAITS if _is_unknown(told) else Fate.LIVES
            case Fate.LIVES_BY_LEASE:
                # Where a lock manager runs, it must not come to that.
                may_be = not self.ground.guarded and self.watch.twice
                return Fate.TWICE if may_be else Fate.LIVES
        return fate

    def has_arrived(self):
        """Say whether it was seen to run on the destination."""
        return self.watch.has_run_at(self.ground.lab.hosts[1].name)

    def is_left_to_a_person(self):
        """Say whether only a person can go on, and was told of it."""
        told = self.ground.outcomes.of(self.migration_id)
        return self.fate in _FOR_A_PERSON and _is_unknown(told)

    def went_back(self):
        """Say whether what it holds may be older than what it has told."""
        source = self.ground.lab.hosts[0].name
        return self.fate is Fate.TWICE or (
            self.has_arrived() and self.copies().get(source) == sight.RUNNING
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
    if not seen or case.fate is Fate.TWICE:
        return []
    return [f'it ran twice, {len(seen)} times, at {seen[0]:.2f} s first']


def _of_places(case):
    found = _of_fate(case)
    copies = case.copies()
    running = [name for name, state in copies.items() if state == 'running']
    told = _known(case)
    if len(copies) > 1 and case.fate is not Fate.TWICE:
        found.append(f'two copies are left: {copies}')
    if copies and not running and not _says_paused(told):
        found.append(f'it is left paused, and nobody told: {copies}')
    source = case.ground.lab.hosts[0].name
    if running == [source] and case.has_arrived() and not _is_unknown(told):
        found.append('it runs at its source again, older than it was')
    return found


def _of_fate(case):
    """What has become of it is what may."""
    copies = case.copies()
    running = [name for name, state in copies.items() if state == 'running']
    told = _known(case)
    person = case.is_left_to_a_person()
    calls = bool(told) and told[0].outcome is _UNKNOWN
    rules = {
        Fate.LIVES: [(len(running) == 1, 'it has to run at one host')],
        Fate.PAUSED: [
            (len(copies) == 1, 'it has to be at one host'),
            (
                not running or _says_pause_lost(told),
                'it has to be paused, or to be told to run all the same',
            ),
        ],
        Fate.ENDS: [(not running, 'it was to end, and runs')],
        Fate.EITHER: [
            (running or not copies, 'it has to run, or to be gone'),
            (
                copies or not _was_removed(case, told),
                'its last copy was whole, and was removed by us',
            ),
        ],
        Fate.OUTRUN: [
            (person or not copies, 'it is lost where it ran last, and no word')
        ],
        Fate.BROKEN: [
            (person or not copies, 'what is left of it was not told'),
            (calls, 'no person was called'),
        ],
        Fate.WAITS: [
            (
                len(copies) == 1 and not running,
                'it has to stand still at one host',
            )
        ],
        Fate.TWICE: [
            (
                sorted(copies.values()) == ['paused', 'paused'],
                'both are to be suspended',
            ),
            (
                _is_unknown(told) and 'on both ends' in told[-1].reason,
                'no person was called',
            ),
        ],
    }
    reason = told[-1].reason if told else 'nothing'
    return [
        f'{words}: {copies}, told: {reason}'
        for holds, words in rules[case.fate]
        if not holds
    ]


def _says_pause_lost(told):
    """Say whether whoever reads the end of it learns that it runs again."""
    return bool(told) and 'somebody paused the guest' in told[-1].reason


def _was_removed(case, told):
    """Say whether a copy that had come whole did not go by itself."""
    destination = case.ground.lab.hosts[1].name
    return case.watch.was_at(
        destination, lambda look: look.copying == 'completed'
    ) and any(
        'copy on the destination was removed' in line.text
        for one in told
        for line in one.story
    )


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
    if _BLIND in told[-1].reason:
        # What it was told while a host was away; all are back by now.
        found.append(f'it is told as if out of sight: {told[-1].reason}')
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
