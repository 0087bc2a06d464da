"""What happens while the guest runs on the source and is copied.

The policy's decisions become instructions here, within what the request
allows: no policy can ask for more.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import storing

Sight = events.Progressed | events.PassEnded

#: Where post-copy is wanted, and nothing goes across for so long, it is given
#: up by whatever policy: as long as the most patient one waits for a network.
DEAD_LINK_SECONDS = 300.0

#: A job is seen within this time, or whoever is to make it hangs.
PREPARE_SECONDS = 600.0
#: Both ends are looked at when a job shows nothing new for so long: longer
#: than a hypervisor that comes back needs to answer again.
UNSEEN_SECONDS = 600.0

#: So often post-copy is asked for before both ends are looked at.
ASKS_AT_MOST = 3

_DECIDED: dict[type[contract.Decision], instructions.Decided] = {
    contract.CarryOn: instructions.Decided.CARRY_ON,
    contract.RaiseDowntime: instructions.Decided.RAISE_DOWNTIME,
    contract.StartPostCopy: instructions.Decided.START_POST_COPY,
    contract.GiveUp: instructions.Decided.GIVE_UP,
}


def appear(life: course.Course, event: Sight) -> course.Wishes:
    """See the job for the first time, or its disks."""
    life.chronicle.measure(event.statistics)
    wishes: course.Wishes = ()
    if life.state is states.State.PREPARING:
        # a limit set before the job existed may have been dropped, and an
        # abort that came before it hit nothing
        wishes = (
            instructions.SetDowntime(life.downtime_ms),
            *life.limit_bandwidth(),
        )
        if life.stop is not None:
            life.stop.due = True
    if not storing.copies(life, event.statistics):
        if life.state is states.State.COPYING_STORAGE:
            wishes = life.begin_memory(event.at)
        life.enter(states.State.PRE_COPY, event, 'memory is copied')
        return (*wishes, *judge(life, event))
    if life.state is states.State.PREPARING:
        life.enter(states.State.COPYING_STORAGE, event)
    return (
        *wishes,
        *storing.limit(life, event),
        *storing.judge(life, event),
        *ending.abort_if_due(life, event.at),
        *life.report('disks are copied before the memory'),
    )


def judge(life: course.Course, event: Sight) -> course.Wishes:
    """Ask the policy what to do about the copy."""
    seen = event.statistics
    life.chronicle.measure(seen)
    if life.stop is not None:
        return (
            *ending.abort_if_due(life, event.at),
            *life.report(life.stop.reason),
        )
    if life.no_way_back:
        return (
            *_ask_again(life, event),
            *life.report('post-copy was asked for'),
        )
    boundary = isinstance(event, events.PassEnded)
    decision = life.policy.judge(seen, event.at, boundary)
    if boundary:
        life.chronicle.tell_pass(
            life.state,
            event.at,
            f'pass {seen.iteration - 1}:'
            f' {life.pass_left_mib(seen):.1f} MiB left,'
            f' {seen.bandwidth_mib_s:.1f} MiB/s, dirtied'
            f' {seen.dirty_rate_mib_s:.1f} MiB/s, throttle'
            f' {seen.throttle_percent} %: {decision.reason}',
        )
    return (
        *_act(life, decision, event),
        *life.report(decision.reason, _DECIDED.get(type(decision))),
    )


def _act(
    life: course.Course, decision: contract.Decision, event: events.Event
) -> course.Wishes:
    """Turn a decision into wishes, within what the request allows."""
    match decision:
        case contract.RaiseDowntime():
            limit = life.allowed_ms(decision.downtime_ms)
            if limit == life.downtime_ms:
                return ()
            life.downtime_ms = limit
            life.decide(event, f'downtime up to {limit} ms: {decision.reason}')
            return (instructions.SetDowntime(limit),)
        case contract.StartPostCopy():
            return _start_post_copy(life, decision, event)
        case contract.GiveUp():
            return ending.give_up(life, decision.reason, event)
        case _:
            return ()


def _start_post_copy(
    life: course.Course,
    decision: contract.StartPostCopy,
    event: events.Event,
) -> course.Wishes:
    if not life.request.options.post_copy:
        return ending.give_up(
            life, f'{decision.reason}; {life.policy.no_post_copy}', event
        )
    if life.statistics.iteration < 2:
        # one full pass first: every page is then across once
        return ()
    if not _goes_across(life, event):
        return _put_off(life, decision, event)
    life.post_copy_asked_at = event.at
    life.post_copy_asks += 1
    life.switched = True
    life.decide(event, f'post-copy: {decision.reason}')
    return (instructions.StartPostCopy(),)


def _goes_across(life: course.Course, event: events.Event) -> bool:
    """Say whether *event* shows that something went across just now.

    A guest that was sent off over a dead link has its memory on both ends,
    and runs on neither.
    """
    return not isinstance(event, events.Ticked) and life.pulse.beats


def _put_off(
    life: course.Course,
    decision: contract.StartPostCopy,
    event: events.Event,
) -> course.Wishes:
    """Wait for the link, though not for ever."""
    quiet = life.pulse.quiet_seconds
    if quiet < DEAD_LINK_SECONDS:
        if not (life.put_off or isinstance(event, events.Ticked)):
            life.put_off = True
            life.tell(event, 'nothing goes across: post-copy is put off')
        return ()
    return ending.give_up(
        life,
        f'{decision.reason}; nothing went across for {quiet:.0f} s: a fault'
        f' of the network',
        event,
    )


def _ask_again(life: course.Course, event: events.Event) -> course.Wishes:
    """Repeat a wish for post-copy whose answer may have been lost.

    Neither for ever nor over a dead link: both ends tell what became of it.
    """
    asked, at = life.post_copy_asked_at, event.at
    if asked is None or at - asked < course.CALL_SECONDS:
        return ()
    if life.post_copy_asks >= ASKS_AT_MOST or (
        at - asked >= 2 * course.CALL_SECONDS
    ):
        return ending.look(
            life, event, 'post-copy was asked for, and did not begin'
        )
    if not _goes_across(life, event):
        return ()
    life.post_copy_asked_at = at
    life.post_copy_asks += 1
    return (instructions.StartPostCopy(),)


def share(life: course.Course, event: events.BandwidthShared) -> course.Wishes:
    """Keep to another share of the bandwidth, as migrations come and go."""
    life.policy.link_shared(event.streams, event.at)
    if not life.take_share(event):
        return ()
    life.policy.bandwidth_limited(life.bandwidth_mib_s or 0, event.at)
    return life.limit_bandwidth()


def share_late(
    life: course.Course, event: events.BandwidthShared
) -> course.Wishes:
    """Leave the stream as it is: what is left of it is for the switch.

    QEMU lifts the limit for the last memory, and a new one would hold up
    the guest that waits for it.
    """
    life.take_share(event)
    return ()


def cancel(life: course.Course, event: events.CancelAsked) -> course.Wishes:
    """End the job, unless the guest may run on the destination already."""
    if life.no_way_back:
        return cancel_late(life, event)
    life.decide(event, 'cancel asked for')
    return ending.end_job(
        life,
        states.State.CANCELLED,
        f'cancelled: {event.cause}',
        event.at,
    )


def cancel_blindly(
    life: course.Course, event: events.CancelAsked
) -> course.Wishes:
    """Keep in mind that it is to end, should its job turn out to run on."""
    if life.no_way_back or life.stop is not None or not life.after.owned:
        return cancel_late(life, event)
    life.decide(event, 'cancel asked for')
    life.stop = course.Stop(
        states.State.CANCELLED, f'cancelled: {event.cause}', event.at
    )
    return ()


def cancel_late(
    life: course.Course, event: events.CancelAsked
) -> course.Wishes:
    """Tell that it is too late for a way back."""
    life.tell(event, 'cancel asked for, too late: the switch has begun')
    return ()


def limit(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Look at the limits in time while there is no memory to judge."""
    if life.stop is not None:
        return ending.limit_stop(life, event)
    return (
        storing.limit(life, event)
        or storing.judge(life, event)
        or _limit_preparing(life, event)
        or _limit_silence(life, event)
    )


def _limit_preparing(
    life: course.Course, event: events.Ticked
) -> course.Wishes:
    if life.state is not states.State.PREPARING:
        return ()
    if life.waited(event.at) < PREPARE_SECONDS:
        return ()
    return ending.give_up(
        life, f'no job was seen for {PREPARE_SECONDS:g} s', event
    )


def _limit_silence(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Look at both ends when nothing new is told of the job."""
    if life.state is states.State.PREPARING:
        return ()
    unseen = min(event.at - life.pulse.seen_at, life.waited(event.at))
    if unseen < UNSEEN_SECONDS:
        return ()
    return ending.look(
        life, event, f'nothing new was seen of the job for {unseen:.0f} s'
    )


def limit_pre_copy(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Let the policy know that time goes on."""
    if life.stop is not None:
        return ending.limit_stop(life, event)
    if life.no_way_back:
        return _ask_again(life, event)
    decision = life.policy.judge(life.statistics, event.at, False)
    return _act(life, decision, event) or _limit_silence(life, event)
