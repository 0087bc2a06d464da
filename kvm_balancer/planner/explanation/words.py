"""The lines of an explanation."""

import collections.abc

from kvm_balancer.model import plan as plans
from kvm_balancer.planner.explanation import records


def move(one: records.Move) -> collections.abc.Iterator[str]:
    """Go through what is to be said of a move, a line at a time."""
    yield f'{one.place}. {one.name}: {one.source} -> {one.destination}'
    yield one.reason
    if one.objection:
        yield f'Now: {one.objection}'
    if one.ends:
        yield (
            f'CPU spread of the fleet: {one.cpu_spread_before:.4f} -> '
            f'{one.cpu_spread_after:.4f}'
        )
    for end in one.ends:
        yield (
            f'{end.host}: CPU {end.cpu_before:.2f} -> {end.cpu_after:.2f}, '
            f'memory {end.memory_before:.2f} -> {end.memory_after:.2f}'
        )
    if one.why_instance:
        yield f'Why this instance: {one.why_instance}'
    for rival in one.rivals:
        yield f'Instead of it, {rival.name}: {rival.text}'
    if one.why_host:
        yield f'Why this host: {one.why_host}'
    yield from refusals(one.refused)


def refusals(
    refused: collections.abc.Iterable[records.Refused],
) -> collections.abc.Iterator[str]:
    """Say which rule keeps an instance from how many hosts."""
    for one in refused:
        hosts = '1 host' if one.hosts == 1 else f'{one.hosts} hosts'
        yield f'Not {hosts} ({one.rule.rule}): {rule(one.rule)}'


def rule(one: records.Rule) -> str:
    """Say what decided, and what would change it."""
    if not one.remedy:
        return one.text
    return f'{one.text}; to change that: {one.remedy}'


def place(one: records.Place) -> str:
    """Say what becomes of an instance on a host."""
    text = (
        f'{one.host}: CPU {one.cpu_before:.2f} -> {one.cpu_after:.2f}, '
        f'CPU spread of the fleet {one.cpu_spread:.4f}'
    )
    if one.refused is None:
        return text
    return f'{one.host} ({one.refused.rule}): {rule(one.refused)}'


def bound(made: plans.Plan) -> collections.abc.Iterator[str]:
    """Say how good the plan is, and how good one can be."""
    for what, before, after, least in (
        (
            'CPU spread',
            made.before.cpu_stddev,
            made.after.cpu_stddev,
            made.bound.cpu_stddev,
        ),
        ('peak', made.before.cpu_max, made.after.cpu_max, made.bound.cpu_max),
    ):
        text = f'{what} {before:.3f} -> {after:.3f}'
        yield f'{text}; no plan gets under {least:.3f}' if least else text
    if made.bound.moves:
        yield (
            f'{count(len(made.moves), "move")}; no plan gets there with '
            f'fewer than {made.bound.moves}'
        )


def count(number: int, what: str) -> str:
    """Say how many, in one or in many."""
    return f'1 {what}' if number == 1 else f'{number} {what}s'
