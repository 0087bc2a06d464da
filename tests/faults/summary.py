"""What a campaign has shown, by fault and phase, in few words.

Owns how results are counted and what of them is kept; how they are shown is
for others to say.
"""

import collections
import dataclasses
import json
import re

from kvm_balancer.lab.faults import catalogue
from kvm_balancer.lab.faults import contract
from tests.faults import revision

SCHEMA = 'kvm-balancer/faults/2'

_SOURCE, _DESTINATION = 'host-1', 'host-2'
#: What differs from one migration to the next.
_UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_ADDRESS = re.compile(r'\b10(?:\.\d+){3}\b')
_GUEST = re.compile(r'\bguest-\d+')
_TIME = re.compile(r'\d{4}-\d\d-\d\dT[\d:.]+Z')
_NUMBER = re.compile(r'\d+(?:\.\d+)?')


@dataclasses.dataclass(frozen=True)
class End:
    """One way in which runs of a case have ended.

    :ivar instance: what happened to it
    :ivar outcomes: as they were told, one after another
    :ivar reason: of the last of them
    :ivar runs: that ended so
    """

    instance: str
    outcomes: tuple
    reason: str
    runs: int


@dataclasses.dataclass(frozen=True)
class Case:
    """A fault in a phase.

    :ivar ends: the more frequent ones first
    :ivar settled_seconds: the longest from the healing of the fault until
        everything was as it has to be
    """

    fault: str
    phase: str
    runs: int
    ends: tuple
    settled_seconds: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """A campaign.

    :ivar runs: that struck, and were as they had to be
    :ivar copied: of these, those that copied a disk
    :ivar guarded: of these, those with a lock manager on both hosts
    :ivar looks: at the two ends of a migration
    :ivar longest_gap: the longest time, in seconds, in which one of them did
        not say in what state it was
    :ivar commits: of the code that ran, each with how many runs it had
    """

    runs: int
    copied: int
    guarded: int
    looks: int
    longest_gap: float
    commits: dict
    cases: tuple


def summarise(results):
    """Return what came of *results*, which all passed.

    :raises ValueError: when one did not, a case is missing, or it is not known
        which code ran
    """
    wrong = [result.verdict() for result in results if not result.passed]
    if wrong:
        raise ValueError('\n'.join(['not as they have to be:', *wrong]))
    commits = collections.Counter(result.commit for result in results)
    odd = [one for one in commits if not one or one.endswith(revision.CHANGED)]
    if odd:
        raise ValueError(f'the code that ran is in no commit: {odd}')
    by_case = collections.defaultdict(list)
    for result in results:
        by_case[result.fault, result.phase].append(result)
    wanted = [
        (fault, phase.value)
        for fault, struck in catalogue.FAULTS.items()
        for phase in contract.Phase
        if phase in struck.fates
    ]
    missing = [' '.join(case) for case in wanted if case not in by_case]
    if missing:
        raise ValueError('\n'.join(['never struck:', *missing]))
    return Summary(
        runs=len(results),
        copied=sum(result.copies_disk for result in results),
        guarded=sum(result.guarded for result in results),
        looks=sum(result.samples for result in results),
        longest_gap=max(result.longest_gap for result in results),
        commits=dict(commits),
        cases=tuple(_case(*case, by_case[case]) for case in wanted),
    )


def _case(fault, phase, results):
    ends = collections.defaultdict(list)
    for result in results:
        told = tuple(kind for kind, _ in result.outcomes)
        reason = _plain(result.outcomes[-1][1])
        key = _instance(result), told, _NUMBER.sub('N', reason)
        ends[key].append(reason)
    counted = sorted(ends.items(), key=lambda end: (-len(end[1]), end[0]))
    return Case(
        fault,
        phase,
        len(results),
        tuple(
            End(instance, told, min(reasons), len(reasons))
            for (instance, told, _), reasons in counted
        ),
        max(result.seconds['settling'] for result in results),
    )


def _instance(result):
    if not result.where:
        return 'ends'
    if len(result.where) > 1:
        return 'runs twice, and is suspended at both'
    ((host, state),) = result.where.items()
    place = {_SOURCE: 'source', _DESTINATION: 'destination'}[host]
    if result.outcomes[-1][0] == 'unknown':
        return f'is left at the {place}, and not whole'
    if state != 'running':
        return f'is paused at the {place}'
    return {_SOURCE: 'stays', _DESTINATION: 'arrives'}[host]


def _plain(reason):
    """Return a reason without what is another one each time."""
    for pattern, word in (
        (_UUID, 'UUID'),
        (_ADDRESS, 'ADDRESS'),
        (_GUEST, 'INSTANCE'),
        (_TIME, 'TIME'),
        (re.compile(_SOURCE), 'SOURCE'),
        (re.compile(_DESTINATION), 'DESTINATION'),
    ):
        reason = pattern.sub(word, reason)
    return ' '.join(reason.split())


def dump(summary):
    """Return a summary as JSON."""
    document = {'schema': SCHEMA, **dataclasses.asdict(summary)}
    return json.dumps(document, indent=1) + '\n'


def load(text):
    """Return the summary that was dumped.

    :raises ValueError: when it is none
    """
    document = json.loads(text)
    if document.pop('schema', None) != SCHEMA:
        raise ValueError(f'this is no {SCHEMA}')
    return Summary(
        document['runs'],
        document['copied'],
        document['guarded'],
        document['looks'],
        document['longest_gap'],
        document['commits'],
        tuple(
            Case(
                **(
                    one
                    | {
                        'ends': tuple(
                            End(**end | {'outcomes': tuple(end['outcomes'])})
                            for end in one['ends']
                        )
                    }
                )
            )
            for one in document['cases']
        ),
    )
