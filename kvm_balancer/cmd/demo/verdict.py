"""Whether the demonstration showed what it is to show, in figures. Pure."""

import collections.abc
import dataclasses

from kvm_balancer.cmd.demo import record
from kvm_balancer.cmd.demo import theatre

#: So often the fleet has to be seen balanced before that is believed.
LOOKS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    :ivar figures: name, before, after
    :ivar problems: what went wrong; empty where it was a success
    """

    figures: tuple[tuple[str, str, str], ...]
    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def is_balanced(look: record.Look, goals: theatre.Goals) -> bool:
    """Say whether a look shows the fleet as it is wanted."""
    reached = look.spread <= goals.target and not look.over(goals.limit)
    return look.calm and reached


def is_over(seen: record.Record, goals: theatre.Goals) -> bool:
    """Say whether there is nothing left to be seen."""
    many = sum(is_balanced(one, goals) for one in seen.looks)
    return many >= LOOKS and is_balanced(seen.last, goals)


def judge(
    seen: record.Record,
    goals: theatre.Goals,
    executions: collections.abc.Mapping[str, collections.abc.Sequence[str]],
    instances: int,
) -> Verdict:
    """Say what came of it.

    :param executions: on which hosts each instance really is
    :param instances: how many there have to be
    """
    before, after = seen.looks[0], seen.last
    ended = seen.ended
    done = [one for one in ended if one.outcome == 'completed']
    whole = [uid for uid, ran in executions.items() if len(ran) == 1]
    stops = [one.downtime_ms for one in done if one.downtime_ms is not None]
    seconds = [(one.ended_at or 0.0) - one.begun_at for one in done]
    return Verdict(
        figures=(
            ('spread of CPU load', f'{before.spread:.3f}', _short(after)),
            (
                'hottest host',
                f'{before.peak:.0%}  {before.hottest}',
                f'{after.peak:.0%}  {after.hottest}',
            ),
            (
                f'hosts over {goals.limit:.0%}',
                str(before.over(goals.limit)),
                str(after.over(goals.limit)),
            ),
        ),
        facts=(
            ('migrations', _count(len(done), len(ended) - len(done))),
            ('memory moved', f'{sum(one.gib for one in done):.1f} GiB'),
            ('longest migration', f'{max(seconds, default=0.0):.1f} s'),
            ('longest downtime', f'{max(stops, default=0.0):.0f} ms'),
            (
                'instances that exist exactly once',
                f'{len(whole)} of {instances}',
            ),
        ),
        problems=tuple(
            _problems(seen, goals, executions, instances, len(done))
        ),
    )


def _short(look: record.Look) -> str:
    return f'{look.spread:.3f}'


def _count(done: int, others: int) -> str:
    if not others:
        return f'{done} completed, none failed'
    return f'{done} completed, {others} not'


def _problems(
    seen: record.Record,
    goals: theatre.Goals,
    executions: collections.abc.Mapping[str, collections.abc.Sequence[str]],
    instances: int,
    done: int,
) -> collections.abc.Iterator[str]:
    last = seen.last
    if not is_over(seen, goals):
        yield (
            f'the fleet was not balanced in time: spread {last.spread:.3f}, '
            f'target {goals.target:g}; {last.over(goals.limit)} hosts over '
            f'{goals.limit:.0%}; {len(seen.under_way)} migrations under way'
        )
    if not done:
        yield 'nothing was moved'
    if len(executions) != instances:
        yield f'there are {len(executions)} instances instead of {instances}'
    for uid, ran in executions.items():
        if len(ran) != 1:
            where = ', '.join(ran) or 'no host'
            yield f'instance {uid} is on {where}'
