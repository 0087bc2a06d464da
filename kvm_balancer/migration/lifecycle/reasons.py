"""What is said of how a migration ended, and of why nobody knows.

Words for the operator; they decide nothing.
"""

from kvm_balancer.migration import events
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.lifecycle import verdicts


def end(verdict: verdicts.Verdict) -> states.State:
    """Return the state in which a verdict leaves a migration."""
    return states.State(verdict.outcome.value)


def end_of(
    life: course.Course,
    verdict: verdicts.Verdict,
    source: events.End,
    destination: events.End,
) -> tuple[states.State, str]:
    """Say how it ended, and why so."""
    state = end(verdict)
    after = life.after
    copy = destination if state is states.State.COMPLETED else source
    parts = [verdict.reason, *_paused_by(copy), *after.mended]
    if after.guest_paused and copy.state is events.EndState.RUNNING:
        parts.append(
            'somebody paused the guest meanwhile, which libvirt takes for '
            'part of the migration, and it runs again: pause it there if it '
            'is to stand still'
        )
    if after.ran_there and after.ran_back:
        parts.append('it ran on both ends meanwhile: check its disks')
    if state is states.State.FAILED:
        if life.stop is not None:
            state = life.stop.end
            parts.insert(0, life.stop.reason)
        elif after.call_error:
            parts.insert(0, after.call_error)
    elif life.stop is not None:
        parts.append(f'it was too late for: {life.stop.reason}')
    elif after.call_error:
        parts.append(f'although the call ended with: {after.call_error}')
    if verdict.advice:
        parts.append(verdict.advice)
    return state, '; '.join(parts)


def _paused_by(copy: events.End) -> list[str]:
    """Say of the instance, where it is, that it does not run."""
    if copy.state is not events.EndState.PAUSED:
        return []
    if not copy.trouble:
        return ['someone has paused it']
    return [
        f'{copy.trouble} has paused it: see to that, then resume it where it '
        'is'
    ]


def unknown(life: course.Course, verdict: verdicts.Verdict) -> str:
    """Say what was found, why nothing was done, and what to do about it."""
    after = life.after
    parts = [verdict.reason, *after.mended]
    if not after.owned:
        parts.insert(0, 'it is in no journal, and only watched')
    elif after.refused:
        parts.append(f'{verdict.action.value}: {after.refused}')
    elif verdict.action is verdicts.Action.RECOVER_POST_COPY:
        parts.append(f'{after.recoveries} recoveries failed, the next follows')
    if life.stop is not None:
        parts.append(f'it was too late for: {life.stop.reason}')
    if after.call_error:
        parts.append(f'the call ended with: {after.call_error}')
    parts.append(verdict.advice)
    return '; '.join(parts)


def said(seen: events.End) -> str:
    """Say what one end has."""
    text = seen.state.value
    if seen.job_active:
        text += ', job active'
    return f'{text} ({seen.detail})' if seen.detail else text
