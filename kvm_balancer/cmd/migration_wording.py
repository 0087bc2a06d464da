"""What is said of a migration: where it is, where it goes, how it went.

Words for people, without a stream or a terminal.
"""

import math

from kvm_balancer.cmd import drawing
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import outcome
from kvm_balancer.model import plan

#: Where the guest still writes, and is slowed down, on its source.
ON_SOURCE = frozenset(
    {
        states.State.REQUESTED,
        states.State.PRE_FLIGHT,
        states.State.PREPARING,
        states.State.COPYING_STORAGE,
        states.State.PRE_COPY,
    }
)
_ENDINGS: dict[plan.Ending | None, str] = {
    plan.Ending.PRE_COPY: 'converges by pre-copy',
    plan.Ending.THROTTLED: 'converges by pre-copy when slowed down',
    plan.Ending.POST_COPY: 'converges by post-copy',
    plan.Ending.GIVEN_UP: 'does not converge and is given up',
}


def news(progress: instructions.ReportProgress) -> str:
    """Return what a report says beyond its state and figures."""
    told = progress.text == progress.state or progress.text.startswith('pass ')
    return '' if told else progress.text


def runs_on_source(state: str | None) -> bool:
    """Say whether the guest still writes, and is slowed down, on its source.

    From the switch on the source tells its last figures for ever.
    """
    return state in ON_SOURCE


def figures(progress: instructions.ReportProgress) -> str:
    """Return where a copy stands, in a few figures."""
    seen = progress.statistics
    if progress.state == states.State.COPYING_STORAGE:
        return disks(seen)
    if not seen.iteration and not seen.total_mib:
        return ''
    shown = (
        f'pass {seen.iteration}, {seen.remaining_mib:,.0f} MiB left, '
        f'{rate(seen.bandwidth_mib_s)}'
    )
    if not runs_on_source(progress.state):
        return shown
    if seen.dirty_rate_mib_s:
        shown += f', dirtied {rate(seen.dirty_rate_mib_s)}'
    if seen.throttle_percent:
        shown += f', throttle {seen.throttle_percent} %'
    return shown


def disks(seen: events.Statistics) -> str:
    """Return where the copy of the disks stands."""
    return (
        f'{seen.disk_remaining_mib:,.0f} of {seen.disk_total_mib:,.0f} MiB of '
        f'disks left, {rate(seen.disk_mib_s)}'
    )


def ahead(progress: instructions.ReportProgress) -> str:
    """Return what is still to be expected, as far as it is known."""
    parts = []
    if progress.remaining_seconds is not None:
        parts.append(f'about {left(progress.remaining_seconds)} to go')
    if progress.expected_downtime_ms is not None:
        parts.append(f'downtime about {ms(progress.expected_downtime_ms)}')
    return ', '.join(parts)


def prediction(predicted: plan.Prediction) -> str:
    """Return a prediction in one line."""
    disks = ''
    if predicted.disk_mib:
        disks = f' and up to {predicted.disk_mib:,.0f} MiB of disks'
    return (
        f'{drawing.duration(predicted.total_seconds)}, downtime '
        f'{ms(predicted.downtime_ms)}, {predicted.mib:,.0f} MiB{disks}, '
        f'{_ENDINGS.get(predicted.ending, predicted.mode)}'
    )


def writing(found: hot_set.HotSet) -> str:
    """Return in one line how an instance was seen to write."""
    if not found.dirty_rate_mib_s:
        return 'was not seen to write'
    said = (
        f'dirties {rate(found.dirty_rate_mib_s)} at first; '
        f'{found.hot_set_mib:,.0f} MiB over and over'
    )
    if found.cold_rate_mib_s:
        said += f', {rate(found.cold_rate_mib_s)} elsewhere'
    return said


def comparison(ended: outcome.Outcome) -> str:
    """Hold what happened against what was predicted, in one line.

    :returns: empty where nothing was predicted, or it did not get there
    """
    hoped = ended.predicted
    if hoped is None or ended.outcome is not outcome.OutcomeKind.COMPLETED:
        return ''
    took = ended.total_ms / 1000.0
    ahead = hoped.total_seconds
    off = f', {took / ahead - 1.0:+.0%}' if ahead else ''
    parts = [
        f'took {drawing.duration(took)} '
        f'(predicted {drawing.duration(ahead)}{off})'
    ]
    if ended.downtime_ms is not None:
        parts.append(
            f'downtime {ms(ended.downtime_ms)} ({ms(hoped.downtime_ms)})'
        )
    parts.append(f'{ended.transferred_mib:,.0f} MiB ({hoped.mib:,.0f} MiB)')
    mode = f'{ended.mode}'
    parts.append(
        mode if hoped.mode == ended.mode else f'{mode} ({hoped.mode})'
    )
    return ', '.join(parts)


def rate(mib_s: float) -> str:
    """Return a bandwidth."""
    return f'{mib_s:,.{1 if 0 < mib_s < 10 else 0}f} MiB/s'


def left(seconds: float) -> str:
    """Return how long it still takes; nobody knows it to the tenth."""
    return drawing.duration(math.ceil(seconds))


def ms(milliseconds: float) -> str:
    """Return a downtime."""
    return f'{milliseconds:,.0f} ms'
