"""What a look at both ends shows, and a later one may not show any more.

Where the guest has been decides which copy may run: a destination that has
nothing of it now may have had it run, and end, since it was looked at last.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import course

#: A guest that was stopped on the source may have run on the destination, and
#: be gone from there, where that was not looked at for longer than this.
WATCHED_SECONDS = 2.0
#: And where it was seen to wait there, for longer than this: twice as long as
#: looks are apart while the ends settle. That it runs is to be heard as well,
#: but not of what an earlier run began, and none has listened to since.
AWAITED_SECONDS = 10.0


def take(life: course.Course, event: events.EndsSeen) -> None:
    """Keep what a later look may not show any more."""
    state = events.EndState
    here, there = event.source.state, event.destination.state
    after = life.after
    # What this look shows of the other end may be of before it.
    after.ran_back |= (
        (after.ran_there or after.across)
        and here in (state.RUNNING, state.PAUSED)
        and not event.source.job_active
    )
    _take_sight(life, event)
    after.seen = here, there
    after.seen_at = event.at
    after.at_risk = {here, there} == {state.RUNNING, state.UNREACHABLE}
    after.across |= event.source.migrated
    after.ran_there |= there in (
        state.RUNNING,
        state.POST_COPY,
        state.POST_COPY_FAILED,
    )
    if {here, there} & {state.POST_COPY, state.POST_COPY_FAILED}:
        life.take_post_copy(event.at)


def _take_sight(life: course.Course, event: events.EndsSeen) -> None:
    """Say whether it may have run on the destination unseen.

    Who is not there any more has not run there if it was gone, or waited,
    right after the source had stopped.
    """
    after, there = life.after, event.destination.state
    if there is events.EndState.UNREACHABLE:
        after.unwatched |= life.switched
        return
    waited = events.EndState.PAUSED_MIGRATION
    stopped_at, looked_at = life.switched_at, after.destination_seen_at
    after.destination_seen_at = event.at
    if there is events.EndState.SHUT_OFF and not event.destination.unstarted:
        # A hypervisor makes that right before it starts the guest there.
        after.unwatched |= life.switched
    elif there is waited or event.destination.unstarted:
        # It waits to be started for the first time; or to go on from there.
        # Or it could not be.
        after.unwatched &= after.ran_there
    elif looked_at is None or (stopped_at or looked_at) > looked_at:
        after.unwatched |= (
            stopped_at is not None and event.at - stopped_at > WATCHED_SECONDS
        )
    elif after.seen is not None and after.seen[1] is waited:
        allowed = AWAITED_SECONDS if life.begun else WATCHED_SECONDS
        after.unwatched |= life.switched and event.at - looked_at > allowed
