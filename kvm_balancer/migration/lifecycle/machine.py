"""The machine: facts of one migration in, wishes out.

Feed it each event as it comes; carry out what it answers. It has no clock:
time is that of the events. What may follow what is in :mod:`.transitions`,
what is done on the way in the handlers named there. Four rules hold
throughout:

- the guest is never aborted once it was told to run on the destination;
- the job is started once;
- how it ended is read off both ends, never off the call that carried it;
- a copy is removed, resumed or suspended only after both ends have said the
  same several times, and post-copy that broke is never ended.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import transitions
from kvm_balancer.model import outcome


class Machine:
    """The life of one migration.

    :param policy: a convergence policy of its own, not yet begun
    """

    def __init__(
        self, wanted: request.Request, policy: contract.Convergence
    ) -> None:
        self._life = course.Course(wanted, policy)

    @property
    def request(self) -> request.Request:
        """What was asked for."""
        return self._life.request

    @property
    def state(self) -> states.State:
        """Where it stands."""
        return self._life.state

    @property
    def story(self) -> tuple[outcome.StoryLine, ...]:
        """What happened so far, oldest first."""
        return self._life.chronicle.story

    @property
    def statistics(self) -> events.Statistics:
        """What was last seen of the copy."""
        return self._life.statistics

    @property
    def outcome(self) -> outcome.Outcome | None:
        """The record of it that was told last; None until one was."""
        return self._life.outcome

    @property
    def known(self) -> knowledge.Knowledge:
        """What whoever takes it up after a crash has to know."""
        after = self._life.after
        return knowledge.Knowledge(
            after.across,
            after.ran_there,
            after.ran_back,
            after.guest_paused,
            after.told,
        )

    def objection(self, completed: bool) -> str:
        """Say why it is not to be settled by hand as that; empty for may."""
        if self.state is not states.State.UNKNOWN:
            return f'it is looked after, and stands at {self.state.value}'
        return self._life.after.objection(completed)

    def begin(self, at: float, cause: str = 'accepted') -> course.Wishes:
        """Set out: the same as handling :class:`.events.Accepted`."""
        return self.handle(events.Accepted(at=at, cause=cause))

    def adopt(
        self,
        at: float,
        owned: bool = True,
        told_unknown: bool = False,
        known: knowledge.Knowledge | None = None,
    ) -> course.Wishes:
        """Take it up after its executor ended: see what became of it.

        :param owned: it is in the journal; else it is only watched
        :param told_unknown: that it is unknown was told before
        :param known: what the earlier run wrote down
        """
        return self.handle(
            events.Adopted(
                at=at,
                cause='the executor is back',
                owned=owned,
                told_unknown=told_unknown,
                known=known or knowledge.NOTHING,
            )
        )

    def doubt(self, at: float, stumbled: events.Event) -> course.Wishes:
        """Take note that *stumbled* could not be answered.

        That it is unknown is told, and both ends are looked at: see
        :class:`.events.Stumbled`.
        """
        name = type(stumbled).__name__
        return self.handle(
            events.Stumbled(
                at=at,
                cause=stumbled.cause,
                text=f'{name} could not be answered in state'
                f' {self.state.value!r}',
            )
        )

    def handle(self, event: events.Event) -> course.Wishes:
        """Take *event* in, and say what is to be done about it.

        :raises MigrationError: when the event is impossible here; it
            carries the story so far
        """
        # First, whatever comes of it: no look would ever follow.
        self._life.after.see(event)
        rule = transitions.TABLE.get((self.state, type(event)))
        if rule is None:
            raise self._impossible(event, 'cannot come')
        before, looking = self.state, self._life.after.looking
        self._life.see(event)
        try:
            wishes = rule.handler(self._life, event)
            if self.state not in rule.to:
                raise self._impossible(
                    event, f'came in {before.value!r} and ended'
                )
        except Exception:
            # A look that it has asked for is lost with its other wishes.
            self._life.after.looking = looking
            raise
        return wishes

    def _impossible(
        self, event: events.Event, what: str
    ) -> errors.MigrationError:
        told = ' > '.join(f'{line.state}: {line.text}' for line in self.story)
        return errors.MigrationError(
            f'migration {self.request.migration_id}:'
            f' {type(event).__name__} ({event.cause}) {what} in state'
            f' {self.state.value!r}; so far: {told or "nothing"}',
            self.story,
        )
