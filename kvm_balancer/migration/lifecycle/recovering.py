"""How a migration is taken up again: a job followed, post-copy recovered.

The hypervisors carry a migration on by themselves when its executor, or the
connection to the source, is gone. Who finds it steers it on as if it had
never been let go. Post-copy whose stream broke is never ended: half of the
memory is on either end, and only a new stream brings it together.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import states

#: A job that nobody lost sight of is about to end; one that is still there
#: after so many looks is not.
_LOOKS = 4

#: Post-copy never rests by itself. A stream over which nothing came for so
#: long is dead, and a guest that needs what does not come stands still.
QUIET_SECONDS = 20.0

#: A hypervisor that does not tell for so long whether anything comes is taken
#: for one to which nothing does: what is given up is only the stream.
UNSEEN_SECONDS = 120.0

#: A stream that is still not given up then: both ends tell of it.
DEAF_SECONDS = 3 * QUIET_SECONDS

#: A new stream that carried memory for so long is no failed attempt.
_STEADY_SECONDS = 5.0

#: A new stream is there within this time, or whoever makes it hangs.
_RECOVER_SECONDS = 120.0

_State = events.EndState

#: Where a job that is followed stands, by what the source says.
_FOLLOWED = {
    _State.RUNNING: states.State.PREPARING,
    _State.PAUSED: states.State.PREPARING,
    _State.PAUSED_MIGRATION: states.State.SWITCHOVER,
    _State.POST_COPY: states.State.POST_COPY,
}


def can_follow(life: course.Course, event: events.EndsSeen) -> bool:
    """Say whether a job runs on the source that nobody watches.

    Also where the destination takes post-copy for broken: its libvirt does
    when it loses the source's, while the memory still comes.
    """
    after = life.after
    if not event.source.job_active or event.source.state not in _FOLLOWED:
        return False
    if after.in_vain or after.deaf:
        return False
    if after.hung and event.source.state is _State.PAUSED_MIGRATION:
        return False
    return after.adopted or after.lost or after.agreed >= _LOOKS


def follow(life: course.Course, event: events.EndsSeen) -> course.Wishes:
    """Watch the job, and steer it on."""
    life.after.in_vain = True
    life.after.hung = False
    if not life.begun:
        life.begin_policy(_begun_at(life, event))
    if event.source.state is _State.RUNNING and life.no_way_back:
        _doubt_post_copy(life, event)
    life.enter(
        _FOLLOWED[event.source.state],
        event,
        'the job runs on, and is followed',
    )
    return (instructions.Follow(), *life.report('the job is followed'))


def _begun_at(life: course.Course, event: events.EndsSeen) -> float:
    """Return from when on the limits in time of a followed job count.

    Its own run began it right after it was accepted. Where disks may have
    been copied since, that time does not count, and nobody knows it.
    """
    if not life.after.adopted or life.request.options.copy_storage:
        return event.at
    return life.request.accepted_at


def _doubt_post_copy(life: course.Course, event: events.EndsSeen) -> None:
    """See that post-copy did not begin: where it does, the source stops.

    Where it was refused it never will, and there is a way back.
    """
    refused = life.after.post_copy_refused
    if refused:
        life.take_post_copy_back(refused)
        life.tell(event, 'post-copy never began')
    else:
        life.post_copy_asked_at, life.post_copy_asks = event.at, 0


def recover(life: course.Course, event: events.EndsSeen) -> course.Wishes:
    """Have the rest of the memory sent over a new stream."""
    number = life.after.recoveries + 1
    life.after.attempted = True
    life.enter(
        states.State.RECOVERING,
        event,
        f'post-copy is recovered, for the {number}. time',
    )
    return (
        instructions.Recover(),
        *life.report('post-copy is recovered'),
    )


def go_on(life: course.Course, event: events.PostCopyBegun) -> course.Wishes:
    """See the memory come again, or be about to."""
    life.take_post_copy(event.at)
    life.enter(
        states.State.POST_COPY, event, 'the rest of the memory comes again'
    )
    return life.limit_bandwidth()


def limit(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Do not wait for ever for a new stream."""
    if life.waited(event.at) < _RECOVER_SECONDS:
        return ()
    return ending.look(
        life, event, f'no new stream within {_RECOVER_SECONDS:g} s'
    )


def watch_stream(
    life: course.Course, event: events.Progressed | events.PassEnded
) -> course.Wishes:
    """See whether the stream of post-copy carries anything."""
    if life.pulse.beats and life.waited(event.at) >= _STEADY_SECONDS:
        life.after.attempted = False
        life.after.recoveries = 0
    return pause_dead_stream(life, event)


def pause_dead_stream(
    life: course.Course, event: events.Event
) -> course.Wishes:
    """Have a stream given up that is dead without anybody's noticing."""
    waited = life.waited(event.at)
    quiet = min(life.pulse.quiet_seconds, waited)
    unseen = min(event.at - life.pulse.seen_at, waited)
    if unseen >= UNSEEN_SECONDS:
        quiet = unseen
    if quiet < QUIET_SECONDS:
        return ()
    asked, since = life.pause_asked_at, life.entered_at
    if asked is not None and event.at - asked < QUIET_SECONDS:
        return ()
    if asked is not None and quiet >= DEAF_SECONDS and asked >= since:
        return ending.look(
            life,
            event,
            f'nothing came for {quiet:.0f} s, and the stream is not given up',
        )
    life.pause_asked_at = event.at
    life.decide(
        event,
        f'nothing came for {quiet:.0f} s: the stream is given up, to send the'
        f' rest over a new one',
    )
    return (instructions.PausePostCopy(),)
