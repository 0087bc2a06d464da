"""What a pair of ends may mean, in words for the operator.

A verdict that needs an action (say, to resume the source) is believed only
after the ends were looked at several times, since the two are never seen at
the same moment; and libvirt tidies up by itself first, where it can. Which
one it is, :mod:`.arbiter` decides.

Where the guest ran on the destination, no words lead back to what the source
has of it: that is older.
"""

import enum

from kvm_balancer.migration.lifecycle import verdicts
from kvm_balancer.model import outcome

_Verdict = verdicts.Verdict
_Action = verdicts.Action

_COMPLETED = outcome.OutcomeKind.COMPLETED
_FAILED = outcome.OutcomeKind.FAILED
_UNKNOWN = outcome.OutcomeKind.UNKNOWN

#: Looks 0.1 s apart at first and 5 s in the end: 20 of them outlast the 30 s
#: after which libvirt's keepalive gives a connection up, and what follows.
_PATIENT = 20
#: Two running copies damage their disk; three looks exclude that the ends
#: were merely seen on either side of the switch.
_QUICK = 3
#: A guest that stands still, and of which no job is left: a few seconds.
_SOON = 6

#: What is said where the guest ran on the destination: its disks there have
#: what it wrote since.
_LATEST_THERE = (
    'where its disks were copied, those on the destination are the latest:'
    ' keep them and its definition there, and never start it from the'
    " source's"
)
#: And where that is not known.
_LATEST_WHERE_IT_RAN = (
    'where its disks were copied, those of the host that it ran on last are'
    ' the latest: see which, and keep all of them until then'
)


class Case(enum.Enum):
    """The verdicts of the arbiter's table, and those that refine them."""

    COMPLETE = _Verdict(
        _COMPLETED, _Action.NONE, 1, 'the instance runs on the destination'
    )
    ARRIVED_PAUSED = _Verdict(
        _COMPLETED,
        _Action.NONE,
        1,
        'the instance is on the destination, and paused there',
    )
    ARRIVED_OFF = _Verdict(
        _COMPLETED,
        _Action.NONE,
        _QUICK,
        'the instance was moved, and is shut off on the destination: it ended'
        ' there',
        f'start it there; {_LATEST_THERE}',
    )
    KEPT = _Verdict(_FAILED, _Action.NONE, 1, 'the instance is on the source')
    KEPT_UNWATCHED = _Verdict(
        _FAILED,
        _Action.NONE,
        1,
        'the instance is on the source; the destination, which has nothing of'
        ' it, was out of sight meanwhile',
        'if it went back in time, it ran there as well: check its disks then',
    )
    RAN_ON_BOTH = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance is on the source, though it ran on the destination'
        ' since: it ran on both, or went back in time',
        'check its disks, decide what is the last of them, and settle it by'
        ' hand; leave alone until then what the destination has of it',
    )
    ENDED = _Verdict(
        _FAILED,
        _Action.NONE,
        2,
        'the instance is shut off on the source and is not on the'
        ' destination: it ended meanwhile',
        'start it where it is wanted',
    )
    ENDED_AFTER_ALL = _Verdict(
        _FAILED,
        _Action.NONE,
        _QUICK,
        'the instance is shut off on the source and is not on the'
        ' destination, where it ran last: it ended there',
        f'start it anew from its disks; {_LATEST_THERE}',
    )
    ENDED_UNWATCHED = _Verdict(
        _FAILED,
        _Action.NONE,
        _QUICK,
        'the instance is shut off on the source and is not on the'
        ' destination, where it may have run last: it ended meanwhile',
        f'start it anew from its disks; {_LATEST_WHERE_IT_RAN}',
    )
    UNDER_WAY = _Verdict(
        _UNKNOWN,
        _Action.WAIT,
        _PATIENT,
        'a migration job still holds the instance',
        'look at both hosts again when the job is over',
    )
    POST_COPY_UNDER_WAY = _Verdict(
        _UNKNOWN,
        _Action.WAIT,
        _PATIENT,
        'post-copy is still under way',
        'leave both copies alone until it is over',
    )
    LEFT_BEHIND = _Verdict(
        _COMPLETED,
        _Action.DESTROY_SOURCE,
        _QUICK,
        'the instance runs on the destination, and its definition is left on'
        ' the source',
        'see whose the definition on the source is, and never start it there',
    )
    LEFT_BEHIND_PAUSED = _Verdict(
        _COMPLETED,
        _Action.DESTROY_SOURCE,
        _QUICK,
        'the instance is on the destination, paused there, and its'
        ' definition is left on the source',
        'see whose the definition on the source is, and never start it there',
    )
    LEFT_BEHIND_OFF = _Verdict(
        _COMPLETED,
        _Action.DESTROY_SOURCE,
        _QUICK,
        'the instance was moved, and is shut off on the destination: it ended'
        ' there; its definition is left on the source',
        'start it where it is wanted, but never on the source',
    )
    ENDED_TWICE = _Verdict(
        _FAILED,
        _Action.DESTROY_DESTINATION,
        _QUICK,
        'the instance is shut off on the source: it ended meanwhile; its'
        ' definition is left on the destination',
        'start it where it is wanted, but never on the destination',
    )
    ENDED_SOMEWHERE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance is shut off on each end that has it, and where it ran'
        ' last is not known',
        'see which of its disks are the latest, start it from these, and'
        ' remove a second definition; either will do where both ends share'
        ' the disks',
    )
    LEFT_AHEAD = _Verdict(
        _FAILED,
        _Action.DESTROY_DESTINATION,
        _QUICK,
        'the instance is on the source, and its definition is left on the'
        ' destination',
        'see whose the definition on the destination is, and never start it'
        ' there',
    )
    LEFT_AHEAD_UNWATCHED = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance is on the source, and its definition is left on the'
        ' destination, which was out of sight meanwhile: libvirt makes that'
        ' when it starts the instance there, so it may have run on both, or'
        ' gone back in time',
        'check its disks, decide what is the last of them, and settle it by'
        ' hand; leave alone until then what the destination has of it',
    )
    REMNANT = _Verdict(
        _UNKNOWN,
        _Action.DESTROY_DESTINATION,
        _SOON,
        'the instance is on the source, and an unstarted copy is left on the'
        ' destination',
        'make sure that it runs on the source, then destroy the paused copy'
        ' on the destination',
    )
    ARRIVED = _Verdict(
        _UNKNOWN,
        _Action.DESTROY_SOURCE,
        _SOON,
        'the instance runs on the destination, and its stopped copy is left'
        ' on the source',
        'never resume the source; destroy the paused copy there',
    )
    STOPPED = _Verdict(
        _UNKNOWN,
        _Action.RESUME_SOURCE,
        _SOON,
        'the instance is stopped on the source and is not on the destination',
        'make sure that no host runs it, then resume it on the source',
    )
    OUTRUN = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _PATIENT,
        'the instance is stopped on the source; it ran on the destination'
        ' since, and is not there any more',
        'never resume the source: its memory is older than the disks; start'
        ' the instance anew from its disks, once no host runs it;'
        f' {_LATEST_THERE}',
    )
    UNWATCHED = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance is stopped on the source and does not run on the'
        ' destination, which was out of sight meanwhile: it may have run'
        ' there, or have gone on from there',
        'make sure that no host runs it; resume it on the source only if it'
        ' never ran anywhere since, else start it anew from its disks;'
        f' {_LATEST_WHERE_IT_RAN}',
    )
    STOPPED_AT_DESTINATION = _Verdict(
        _UNKNOWN,
        _Action.RESUME_DESTINATION,
        _SOON,
        'the source has let go of the instance, and the destination has not'
        ' started it',
        'make sure that no host runs it, then resume it on the destination',
    )
    INCOMPLETE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _PATIENT,
        'the source has let go of the instance, and whether all of its memory'
        ' is on the destination, where it was not started, is not known',
        'resume it on the destination only if the source says that it'
        ' migrated; else start it anew from its disks, once no host runs it;'
        f' {_LATEST_WHERE_IT_RAN}',
    )
    STOPPED_LATER = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance ran on the destination, and is stopped there for a'
        ' migration',
        'never resume the source; see where it was to go from there, and'
        ' resume it on the destination, once no other host runs it and if all'
        f' of its memory got there; else start it anew; {_LATEST_THERE}',
    )
    OUTDATED = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'the instance went on on the source after its memory had gone across:'
        ' what is stopped for a migration may be older than its disks',
        'resume no copy of which you do not know that it ran last; else start'
        ' it anew from its disks, once no host runs it;'
        f' {_LATEST_WHERE_IT_RAN}',
    )
    BROKEN = _Verdict(
        _UNKNOWN,
        _Action.RECOVER_POST_COPY,
        _QUICK,
        'post-copy broke: the memory is on both ends',
        'mend the network and resume post-copy; neither resume the source'
        ' nor destroy either copy',
    )
    HALF_GONE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _SOON,
        'post-copy had begun and one end is gone: no copy is whole, and the'
        ' memory of the instance is lost',
        'end what is left of it, whose memory is of no use, and start it anew'
        f' from its disks once no host runs it; {_LATEST_THERE}',
    )
    HALF_MISSING = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _PATIENT,
        'post-copy was under way and one end is gone: unless the other one has'
        ' all of the memory, it is lost',
        'if the instance does not go on, end what is left of it, and start it'
        f' anew from its disks once no host runs it; {_LATEST_THERE}',
    )
    STOPPED_BOTH = _Verdict(
        _UNKNOWN,
        _Action.DESTROY_DESTINATION,
        _SOON,
        'the instance is stopped on the source, and the copy on the'
        ' destination was not started',
        'destroy the copy on the destination, which never ran, then resume'
        ' the source',
    )
    STOPPED_TWICE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _PATIENT,
        'the instance is paused on both ends',
        'decide which copy is the last one, resume it, destroy the other',
    )
    TWICE = _Verdict(
        _UNKNOWN,
        _Action.SUSPEND_BOTH,
        _QUICK,
        'the instance runs on both ends',
        'suspend both copies now, before they damage the disk; then decide'
        ' which one stays',
    )
    STRANGE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _PATIENT,
        'the two ends contradict each other',
        'look at both hosts before touching either copy',
    )
    LOST = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _QUICK,
        'the instance is on neither end',
        'look for it on other hosts; start it anew from its disks if no host'
        f' runs it; {_LATEST_WHERE_IT_RAN}',
    )
    LOST_THERE = _Verdict(
        _UNKNOWN,
        _Action.CALL_A_PERSON,
        _QUICK,
        'the instance is on neither end; it ran on the destination last',
        'look for it on other hosts; start it anew from its disks if no host'
        f' runs it; {_LATEST_THERE}',
    )
    BLIND = _Verdict(
        _UNKNOWN,
        _Action.WAIT,
        _PATIENT,
        'an end cannot be asked, and what it has is not known',
        'do nothing to the other copy until that host is seen again or fenced',
    )
    NEVER_SWITCHED = _Verdict(
        _FAILED,
        _Action.NONE,
        _QUICK,
        'the instance runs on the source and was never stopped there; the'
        ' destination cannot be asked',
        'look for an unstarted copy on the destination when it is back',
    )
    NEVER_SWITCHED_WITH_DISKS = _Verdict(
        _FAILED,
        _Action.NONE,
        _PATIENT,
        'the instance runs on the source and was never stopped there; the'
        ' destination cannot be asked',
        'look for an unstarted copy, and for images of its disks, on the'
        ' destination when it is back',
    )
