"""What is kept of a migration while it lives: its story and its figures.

The machine writes into it; the outcome is read out of it at the end.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import track
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

#: A copy that converges slowly makes hundreds of passes; the story keeps a
#: line for each of the first ones, and all that was decided.
PASSES_TOLD = 100

#: What cannot be settled is looked into for as long as that takes: its story
#: keeps its beginning and its end.
LINES = 500

_KINDS = {
    states.State.COMPLETED: outcome.OutcomeKind.COMPLETED,
    states.State.FAILED: outcome.OutcomeKind.FAILED,
    states.State.CANCELLED: outcome.OutcomeKind.CANCELLED,
    states.State.UNKNOWN: outcome.OutcomeKind.UNKNOWN,
}


class Chronicle:
    """The story and the figures of one migration.

    :ivar statistics: the last that was seen of the copy
    :ivar mode: how the memory got across, as far as it is known
    :ivar track: its figures over time
    :ivar decisions: how many there were so far
    """

    def __init__(self, wanted: request.Request) -> None:
        self._request = wanted
        #: what was expected of it
        self.predicted = wanted.predicted
        self._lines: list[outcome.StoryLine] = []
        self._passes_told = 0
        self._transferred_mib = 0.0
        self._iterations = 0
        self._throttle_percent = 0
        self._downtime_ms: float | None = None
        #: of the job's own clock
        self._copy_began_ms: float | None = None
        self._elapsed_ms: float | None = None
        self.statistics = events.Statistics()
        self.mode = plan.Mode.PRE_COPY
        self.track = track.Recorder(wanted.accepted_at)
        self.decisions = 0
        for note in wanted.notes:
            self.tell(states.State.REQUESTED, wanted.accepted_at, note)

    @property
    def story(self) -> tuple[outcome.StoryLine, ...]:
        """All lines so far, oldest first."""
        return tuple(self._lines)

    def tell(self, state: states.State, at: float, text: str) -> None:
        """Add a line to the story."""
        self._add(outcome.StoryLine(at, state.value, text))

    def _add(self, line: outcome.StoryLine) -> None:
        self._lines.append(line)
        if len(self._lines) > LINES:
            del self._lines[LINES // 2]

    def tell_decision(self, state: states.State, at: float, text: str) -> None:
        """Add a decision to the story, with its number."""
        self.decisions += 1
        self._add(outcome.StoryLine(at, state.value, text, self.decisions))

    def tell_pass(self, state: states.State, at: float, text: str) -> None:
        """Add the line of one pass, while there are not too many of them."""
        self._passes_told += 1
        if self._passes_told <= PASSES_TOLD:
            self.tell(state, at, text)
        elif self._passes_told == PASSES_TOLD + 1:
            self.tell(state, at, 'further passes are not told one by one')

    def measure(self, statistics: events.Statistics) -> None:
        """Take in what the copy looks like."""
        self.statistics = statistics
        sent_mib, mib_s = (
            statistics.transferred_mib,
            statistics.bandwidth_mib_s,
        )
        if self._copy_began_ms is None and sent_mib > 0.0 and mib_s > 0.0:
            # It is seen for the first time some time after it began.
            self._copy_began_ms = max(
                0.0, statistics.elapsed_ms - 1000.0 * sent_mib / mib_s
            )
        self._transferred_mib = max(
            self._transferred_mib, statistics.transferred_mib
        )
        self._iterations = max(self._iterations, statistics.iteration)
        self._throttle_percent = max(
            self._throttle_percent, statistics.throttle_percent
        )

    def settled(self, final: events.Statistics) -> events.Statistics:
        """Fill in what final figures leave out and the running ones had."""
        last = self.statistics
        return dataclasses.replace(
            final,
            iteration=max(final.iteration, last.iteration),
            throttle_percent=max(
                final.throttle_percent, last.throttle_percent
            ),
        )

    def settle(self, event: events.JobSettled) -> None:
        """Take in the final figures."""
        final = self.settled(event.statistics)
        self.measure(final)
        self.statistics = final
        self._elapsed_ms = final.elapsed_ms or self._elapsed_ms
        if event.downtime_ms is not None:
            self._downtime_ms = event.downtime_ms

    @property
    def stop_too_long(self) -> str:
        """Say, to go on with, that more was taken than was allowed.

        What the limit holds for is the memory: the state of the devices and
        the way of the word to the destination come on top. Empty where it was
        kept to, or nobody told.
        """
        allowed_ms = self._request.options.max_downtime_ms
        if self._downtime_ms is None or self._downtime_ms <= allowed_ms:
            return ''
        return (
            f'; it stood still for {self._downtime_ms:.0f} ms,'
            f' {self._downtime_ms - allowed_ms:.0f} more than it is allowed'
        )

    def conclude(
        self, end: states.State, at: float, reason: str
    ) -> outcome.Outcome:
        """Return the record of the migration, which ended as *end*."""
        wanted = self._request
        moved = end in (states.State.COMPLETED, states.State.UNKNOWN)
        # the clock of the host may have been set back meanwhile
        total_ms = max(0.0, (at - wanted.accepted_at) * 1000.0)
        copying_ms, fixed_ms = self._phases(total_ms)
        return outcome.Outcome(
            migration_id=wanted.migration_id,
            instance=wanted.instance,
            source=wanted.source,
            destination=wanted.destination,
            outcome=_KINDS[end],
            mode=self.mode,
            reason=reason,
            accepted_at=wanted.accepted_at,
            ended_at=at,
            total_ms=total_ms,
            downtime_ms=self._downtime_ms if moved else None,
            transferred_mib=self._transferred_mib,
            iterations=self._iterations,
            max_throttle_percent=self._throttle_percent,
            predicted=self.predicted,
            story=self.story,
            plan_id=wanted.plan_id,
            track=self.track.track(),
            copying_ms=copying_ms,
            fixed_ms=fixed_ms,
        )

    def _phases(self, total_ms: float) -> tuple[float | None, float | None]:
        """Tell the time of the copy from all other time.

        By the job's own clock: that its copy begins, and that it is over, is
        heard of later than it is so.
        """
        began_ms, elapsed_ms = self._copy_began_ms, self._elapsed_ms
        broke = self.track.entered(states.State.POST_COPY_PAUSED)
        if began_ms is None or elapsed_ms is None or broke is not None:
            return None, None
        copying_ms = elapsed_ms - began_ms
        fixed_ms = total_ms - copying_ms
        storage = self.track.entered(states.State.COPYING_STORAGE)
        memory = self.track.entered(states.State.PRE_COPY)
        if storage is not None and memory is not None:
            fixed_ms -= 1000.0 * (memory - storage)
        if copying_ms <= 0.0 or fixed_ms < 0.0:
            return None, None
        return copying_ms, fixed_ms
