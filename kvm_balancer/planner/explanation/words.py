"""The lines of an explanation."""

import bisect
import collections.abc

from kvm_balancer.model import plan as plans
from kvm_balancer.planner.explanation import records

#: CPU spreads that differ by less are the same to an operator
_EVEN = 5e-5


def even(one: float, other: float) -> bool:
    """Say whether two CPU spreads read the same, or nearly so."""
    return abs(one - other) < _EVEN or f'{one:.4f}' == f'{other:.4f}'


def move(one: records.Move) -> collections.abc.Iterator[str]:
    """Go through what is to be said of a move, a line at a time."""
    yield f'{one.place}. {one.name}: {one.source} -> {one.destination}'
    yield one.reason
    if one.objection:
        yield f'Now: {one.objection}'
    if one.gain:
        yield f'Gain: {one.gain}'
    if one.ends:
        before, after = one.cpu_spread_before, one.cpu_spread_after
        yield (
            f'CPU spread of the fleet: {after:.4f}, as before'
            if even(before, after)
            else f'CPU spread of the fleet: {before:.4f} -> {after:.4f}'
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
    yield from (one.text for one in made.purposes)
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


def gain(made: plans.Plan, place: int) -> str:
    """Say what a move brings the policies of *made*.

    And how far that is on the way from the first move to the last. Members
    of an affinity group bring it together.

    :param place: of the move in the plan
    """
    points = made.frontier
    index = bisect.bisect_right(points, place, key=lambda one: one.moves)
    if index == len(points):
        return ''
    starts = tuple(one.before for one in made.purposes)
    before = points[index - 1].left if index else starts
    parts: list[str] = []
    for one, was, left in zip(
        made.purposes, before, points[index].left, strict=True
    ):
        share = one.gained(left)
        ends = one.amount(was), one.amount(left)
        if share is not None and ends[0] != ends[1]:
            parts.append(
                f'{one.what} {" -> ".join(ends)}, {share:.0%} of the way'
            )
    return '; '.join(parts)


def count(number: int, what: str) -> str:
    """Say how many, in one or in many."""
    return f'1 {what}' if number == 1 else f'{number} {what}s'
