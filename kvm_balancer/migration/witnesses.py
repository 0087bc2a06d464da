"""Two witnesses of one migration: who carries it out, and its source.

Nova's records say what becomes of a migration, and little of its copy. The
executor on the source sees the copy as it sees those of its own, and does
not know what Nova makes of it. So each is believed in what it knows:

- passes, figures, the guest's stop and its downtime are the source's. Figures
  of the records are passed on only while the source has none to tell: it may
  have no executor;
- that post-copy has begun is true from whomever it comes first, and told
  once;
- how it ends is for the records alone, and so is what is done about a stream
  that broke: here it is only told.

Pure: times come with the events.
"""

import dataclasses

from kvm_balancer.migration import events

#: Figures of the records are taken again when the source has told none for
#: so long: longer than an executor is started anew.
SILENT_SECONDS = 15.0

_COUNTED = events.Progressed | events.PassEnded


class Witnesses:
    """What both say of one migration, as one story."""

    def __init__(self) -> None:
        self._told_at: float | None = None
        self._passes = 0
        self._in_post_copy = False
        self._over = False

    def of_records(self, event: events.Event) -> tuple[events.Event, ...]:
        """Take in what the records say; return what is to be told."""
        match event:
            case events.Progressed():
                return self._figures_of_records(event)
            case events.PostCopyBegun():
                return self._begin_post_copy(event)
            case events.CallReturned():
                self._over = True
        return (event,)

    def of_source(self, event: events.Event) -> tuple[events.Event, ...]:
        """Take in what is seen on the source; return what is to be told."""
        if self._over:
            # What comes late tells of a job that has its last word.
            return (event,) if isinstance(event, events.JobSettled) else ()
        match event:
            case events.Progressed() | events.PassEnded():
                self._told_at = event.at
                self._passes = max(self._passes, event.statistics.iteration)
                return (event,)
            case events.PostCopyBegun():
                return self._begin_post_copy(event)
            case events.PostCopyBroke():
                return (
                    events.Noted(
                        at=event.at,
                        cause=event.cause,
                        text='the source saw the stream of post-copy break',
                    ),
                )
            case events.SourceStopped() | events.JobSettled():
                return (event,)
        return ()

    def _figures_of_records(
        self, event: events.Progressed
    ) -> tuple[events.Event, ...]:
        if self._told_at is None:
            return (event,)
        if event.at - self._told_at < SILENT_SECONDS:
            return ()
        # Passes are counted by the source: what is reckoned may be fewer.
        passes = max(self._passes, event.statistics.iteration)
        return (
            dataclasses.replace(
                event,
                statistics=dataclasses.replace(
                    event.statistics, iteration=passes
                ),
            ),
        )

    def _begin_post_copy(
        self, event: events.PostCopyBegun
    ) -> tuple[events.Event, ...]:
        if self._in_post_copy:
            return ()
        self._in_post_copy = True
        return (event,)
