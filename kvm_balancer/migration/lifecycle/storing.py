"""What happens while disks are copied, before the memory's turn comes.

All that can be done about them is to wait, or to give up.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import ending
from kvm_balancer.migration.lifecycle import states


def copies(life: course.Course, statistics: events.Statistics) -> bool:
    """Say whether disks are being copied, and the memory's turn is to come.

    Before the memory's first pass a job shows the progress of its disks
    only, and at first not even that; then they may all be across already.
    """
    return (
        statistics.iteration < 1
        and not statistics.total_mib
        and bool(life.disks or statistics.disk_total_mib)
    )


def judge(life: course.Course, event: events.Event) -> course.Wishes:
    """Ask the policy whether to go on, while disks are copied."""
    if life.stop is not None or (
        life.state is not states.State.COPYING_STORAGE
    ):
        return ()
    if reason := _nothing_gained(life):
        return ending.give_up(life, reason, event)
    decision = life.policy.judge_disks(
        life.statistics, life.disk_mib, event.at
    )
    if isinstance(decision, contract.GiveUp):
        return ending.give_up(life, decision.reason, event)
    return ()


def limit(life: course.Course, event: events.Event) -> course.Wishes:
    """Give up when the time before the memory's turn is over."""
    if life.stop is not None or not life.over_time(event.at):
        return ()
    if life.state is states.State.PREPARING and life.after.in_vain:
        # A job that is followed shows soon what it copies; who decides on
        # that may have other means than to give up.
        return ()
    limits = life.request.options
    seconds = limits.time_limit_seconds
    if life.state is states.State.COPYING_STORAGE:
        seconds = limits.storage_time_limit_seconds
    return ending.give_up(
        life,
        f'the time limit of {seconds:g} s passed while {life.state.value}',
        event,
    )


def _nothing_gained(life: course.Course) -> str:
    """Say that the copy of the disks gets nowhere; empty where it does.

    A limit of the request's own is how long that is worth waiting for.
    """
    options = life.request.options
    granted = patience.PATIENCE[options.profile].disk_seconds
    idle = life.disk_gain.idle_seconds
    if options.storage_time_limit_seconds > 0 or idle < granted:
        return ''
    why = 'nothing goes across, a fault of the network or of the storage'
    if life.disk_gain.is_outrun:
        why = 'the guest writes to them as fast as they are copied'
    return (
        f'{life.disk_gain.left_mib:.0f} MiB of the disks were left'
        f' {idle:.0f} s ago, and no less are now: {why}'
    )
