"""What is known, and was done, of a migration that nobody carries just now.

The call is over, or was made by an earlier run: what became of the instance
is read off both ends, and mended where that is safe. Shared by the handlers
(:mod:`.ending`, :mod:`.deciding`, :mod:`.recovering`); it decides nothing.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import verdicts


@dataclasses.dataclass(slots=True)
class Settled:
    """An end that both hosts agree on, while the marks are taken off.

    :ivar since: when that was asked for, seconds since the epoch
    """

    end: states.State
    reason: str
    since: float


@dataclasses.dataclass(slots=True)
class Aftermath:
    """One migration whose ends are looked at.

    :ivar adopted: an earlier run of the executor began it
    :ivar owned: something may be done to it: it is in the journal
    :ivar told_unknown: that its outcome is unknown was told
    :ivar told: the finding that was told with it last; empty where an earlier
        run told one that is not known
    :ivar hasty: what is found is another thing than what was told, and is
        looked at again soon
    :ivar lost: whoever carried it lost sight of it while it ran
    :ivar in_vain: a job was followed, and not seen
    :ivar deaf: the job did not hear an abort
    :ivar hung: the switch to post-copy did not end
    :ivar post_copy_refused: why it was, though it may have been granted
        before; empty where it was not
    :ivar call_error: what the call said in the end; a hint
    :ivar looking: a look was asked for, and is not answered
    :ivar looks: how often the ends were looked at again
    :ivar unknown_looks: how often since it is unknown
    :ivar verdict: what they last meant, and
    :ivar agreed: how often in a row, since *agreed_at*
    :ivar mending: what is being done just now, since *mending_at*
    :ivar mends: how often something was to be done
    :ivar mended: what was done, in words
    :ivar refused: why the last of it was not; empty where it was
    :ivar attempted: post-copy is being recovered, and nothing came yet
    :ivar recoveries: how often that was in vain, in a row
    :ivar across: all of the memory is on the destination
    :ivar ran_there: the guest was seen to run on the destination
    :ivar ran_back: the source was seen to go on after either of the two
    :ivar unwatched: it may have run there unseen since it was stopped
    :ivar destination_seen_at: when it last was, seconds since the epoch; None
        where it never was
    :ivar guest_paused: somebody paused the guest while it was copied
    :ivar at_risk: a copy runs, and the other end may have another one run
    :ivar seen: what both ends said last: of source and destination,
    :ivar seen_at: and when
    :ivar settled: None while the ends do not agree
    """

    adopted: bool = False
    owned: bool = True
    told_unknown: bool = False
    told: str = ''
    hasty: bool = False
    lost: bool = False
    in_vain: bool = False
    deaf: bool = False
    hung: bool = False
    post_copy_refused: str = ''
    call_error: str = ''
    looking: bool = False
    looks: int = 0
    unknown_looks: int = 0
    verdict: verdicts.Verdict | None = None
    agreed: int = 0
    agreed_at: float = 0.0
    mending: verdicts.Action | None = None
    mending_at: float = 0.0
    mends: int = 0
    mended: list[str] = dataclasses.field(default_factory=list)
    refused: str = ''
    attempted: bool = False
    recoveries: int = 0
    across: bool = False
    ran_there: bool = False
    ran_back: bool = False
    unwatched: bool = False
    destination_seen_at: float | None = None
    guest_paused: bool = False
    at_risk: bool = False
    seen: tuple[events.EndState, events.EndState] | None = None
    seen_at: float = 0.0
    settled: Settled | None = None

    def look(
        self, delay_seconds: float
    ) -> tuple[instructions.LookAtEnds, ...]:
        """Ask for a look, unless one is still to come: that will do.

        Each asks for the next one: two of them would never be one again.
        """
        if self.looking:
            return ()
        self.looking = True
        return (instructions.LookAtEnds(delay_seconds, self.ran_there),)

    def see(self, event: events.Event) -> None:
        """See whether this is what the look was waited for."""
        match event:
            case events.EndsSeen():
                self.looking = False
            case events.Refused(instruction=instructions.LookAtEnds.__name__):
                self.looking = False

    def objection(self, completed: bool) -> str:
        """Say what was seen that a person's word contradicts.

        :param completed: what is said of it
        :returns: empty for nothing
        """
        if self.seen is None:
            return ''
        running = events.EndState.RUNNING
        source, destination = self.seen
        if completed and source is running:
            return 'it runs on the source'
        if not completed and destination is running:
            return 'it runs on the destination'
        return ''

    def has_told(self, verdict: verdicts.Verdict) -> bool:
        """Say whether it was told that this is what was found."""
        return self.told_unknown and self.told in ('', verdict.reason)

    def take(self, verdict: verdicts.Verdict, at: float) -> bool:
        """Take in what a look meant; say whether it is another than before."""
        new = verdict != self.verdict
        if new:
            self.verdict, self.agreed, self.agreed_at = verdict, 0, at
        self.agreed += 1
        return new
