"""What happens from the moment the guest stops on the source."""

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import copying
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import recovering
from kvm_balancer.migration.lifecycle import states

#: A switch takes milliseconds, and as long as the guest may stand still; one
#: that takes so much longer hangs on something.
SWITCHOVER_SECONDS = 60.0


def switch(life: course.Course, event: events.SourceStopped) -> course.Wishes:
    """See the guest stop on the source."""
    life.take_switch(event.at)
    life.enter(
        states.State.SWITCHOVER, event, 'the guest stopped on the source'
    )
    return ()


def run_on_destination(
    life: course.Course, event: events.PostCopyBegun
) -> course.Wishes:
    """See the guest run on the destination, its memory still to come.

    What its share became during the switch, the stream keeps to from now on.
    """
    life.take_post_copy(event.at)
    life.enter(
        states.State.POST_COPY,
        event,
        'the guest runs on the destination, its memory follows',
    )
    return life.limit_bandwidth()


def pause_post_copy(
    life: course.Course, event: events.PostCopyBroke
) -> course.Wishes:
    """See the stream break that the guest's memory comes by."""
    life.take_post_copy(event.at)
    life.enter(
        states.State.POST_COPY_PAUSED,
        event,
        'the stream broke, the memory is on both ends',
    )
    return ()


def watch(life: course.Course, event: copying.Sight) -> course.Wishes:
    """Show how far it is, where nothing is left to decide."""
    life.chronicle.measure(event.statistics)
    wishes: course.Wishes = ()
    if life.state is states.State.SWITCHOVER:
        wishes = limit_switch(life, event)
    if life.state is states.State.POST_COPY:
        wishes = recovering.watch_stream(life, event)
    return (*wishes, *life.report(life.state.value))


def finish(life: course.Course, event: events.JobSettled) -> course.Wishes:
    """See the job over; the call is about to return."""
    life.after.across = True
    life.chronicle.settle(event)
    life.enter(states.State.FINISHING, event, 'the job is over')
    return ()


def settle(life: course.Course, event: events.JobSettled) -> course.Wishes:
    """Take figures in that came after the call's return."""
    life.after.across = True
    life.chronicle.settle(event)
    return ()


def stop_late(life: course.Course, event: events.Event) -> course.Wishes:
    """Take in late that the guest was stopped, or ran elsewhere."""
    life.take_switch(event.at)
    if not isinstance(event, events.SourceStopped):
        life.take_post_copy(event.at)
    return note(life, event)


def arrive(life: course.Course, event: events.Arrived) -> course.Wishes:
    """Hear that the guest was let run on the destination.

    Of post-copy a hypervisor says so once more when all memory has come.
    """
    life.take_switch(event.at)
    known, life.after.ran_there = life.after.ran_there, True
    if not known:
        life.tell(event, 'the guest was let run on the destination')
    return ()


def note(life: course.Course, event: events.Event) -> course.Wishes:
    """Tell what comes late or once more, and changes nothing."""
    told = (events.SourceStopped, events.PostCopyBegun, events.PostCopyBroke)
    if isinstance(event, told):
        life.tell(event, f'{type(event).__name__}, late or once more')
    return ()


def remark(life: course.Course, event: events.Noted) -> course.Wishes:
    """Tell what was done or seen besides."""
    life.after.guest_paused |= event.guest_paused
    life.tell(event, event.text)
    return ()


def ignore(life: course.Course, event: events.Event) -> course.Wishes:
    """Let what is over be over."""
    return ()


def limit_switch(life: course.Course, event: events.Event) -> course.Wishes:
    """Do not wait for ever for a switch."""
    if life.stop is not None:
        return (
            *ending.abort_if_due(life, event.at),
            *ending.limit_stop(life, event),
        )
    allowed_ms = life.request.options.max_downtime_ms
    seconds = SWITCHOVER_SECONDS + allowed_ms / 1000.0
    if life.waited(event.at) < seconds:
        return ()
    reason = f'the switch did not end within {seconds:g} s'
    if life.no_way_back:
        life.after.hung = True
        return ending.look(life, event, reason)
    return ending.give_up(life, ending.with_fault(life, reason), event)


def limit_wait(life: course.Course, event: events.Ticked) -> course.Wishes:
    """Do not wait for ever for the call to return."""
    if life.waited(event.at) < course.CALL_SECONDS:
        return ()
    return ending.look(
        life,
        event,
        f'no word for {course.CALL_SECONDS:g} s in {life.state.value}',
    )
