"""What parts of a plan gain, for whom, and what they copy, as a table.

Works on the plan document, as :mod:`.plan_view` does.
"""

from kvm_balancer.cmd import listing
from kvm_balancer.model import plan as plans

MIB_PER_GIB = 1024.0
#: parts of a plan that are shown
_PARTS = 10
#: columns of moves and GiB, and of what is told of one policy
_MOVES_WIDTH, _PURPOSE_WIDTH = 14, 16
_SPREAD = 'CPU spread'


def purposes_of(row: listing.Row) -> list[plans.Purpose]:
    """Return what a plan is for: the CPU spread where it tells nothing.

    That is so of older documents, and of policies that tell nothing.
    """
    points, before = row.get('frontier') or (), row.get('before') or {}
    found = _told(row)
    if found or not points or 'cpu_stddev' not in before:
        return found
    start, end = float(before['cpu_stddev']), float(points[-1]['cpu_stddev'])
    return [plans.Purpose(_SPREAD, _SPREAD, start, end)]


def _told(row: listing.Row) -> list[plans.Purpose]:
    return [plans.Purpose(**one) for one in row.get('purposes') or ()]


def left_of(point: listing.Row, purpose: plans.Purpose) -> float:
    """Return what is left of a purpose at a point of the frontier."""
    left = point.get('left') or {}
    if purpose.policy in left:
        return float(left[purpose.policy])
    return float(point['cpu_stddev'])


def purposes(row: listing.Row) -> str:
    """Say what each policy wants less of, and what the plan makes of it."""
    lines = (one.text for one in _told(row))
    return listing.one_per_line(lines) or '-'


def table(row: listing.Row) -> str:
    """Show what parts of the plan are worth, a handful of them.

    Policies that have no room beside each other stand below each other.
    """
    points = list(row.get('frontier') or ())
    if not points:
        return listing.text(None)
    step = max(1, len(points) // _PARTS)
    shown = points[step - 1 :: step]
    if shown[-1] is not points[-1]:
        shown.append(points[-1])
    served = purposes_of(row)
    beside = max(1, (listing.room() - _MOVES_WIDTH) // _PURPOSE_WIDTH)
    blocks = [
        _block(shown, served[begin : begin + beside])
        for begin in range(0, max(1, len(served)), beside)
    ]
    return '\n\n'.join(blocks)


def _block(shown: list[listing.Row], served: list[plans.Purpose]) -> str:
    """Show points of the frontier, and some purposes at each."""
    lines = [
        ' ' * _MOVES_WIDTH
        + ''.join(f'  {one.policy[:14]:>14}' for one in served),
        'moves      GiB' + '    left  gained' * len(served),
    ]
    lines += [
        f'{point["moves"]:5,} {point["mib"] / MIB_PER_GIB:8,.1f}'
        + ''.join(_gained(one, left_of(point, one)) for one in served)
        for point in shown
    ]
    return '\n'.join(lines)


def _gained(purpose: plans.Purpose, left: float) -> str:
    """Say what is left of a purpose, and which share of the way that is."""
    share = purpose.gained(left)
    gained = '-' if share is None else f'{share:.0%}'
    return f'  {purpose.amount(left):>6}  {gained:>6}'
