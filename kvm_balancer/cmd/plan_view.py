"""How a plan is shown to people.

Works on the plan document, so that a plan looks the same whether the agent
made it or this program.
"""

import collections.abc
from typing import Any

from kvm_balancer.cmd import frontier_view
from kvm_balancer.cmd import listing

_MIB_PER_GIB = 1024.0


def _moves(value: Any) -> str:
    return listing.one_per_line(
        f'{place}. {move["instance"]}: {move["source"]} -> '
        f'{move["destination"]}{_waits(move)}; '
        f'{move["predicted_mib"] / _MIB_PER_GIB:.1f} GiB, '
        f'{move["predicted_seconds"]:.1f} s{_ending(move)}. {move["reason"]}'
        for place, move in enumerate(value or ())
    )


def _ending(move: dict[str, Any]) -> str:
    """Say by which mode it ends; an older document does not tell."""
    converges = move.get('converges')
    if converges is None:
        return ''
    if not converges:
        return ', does not converge and is given up'
    throttled = ' under throttle' if move.get('throttled') else ''
    return f', by {move["convergence"]}{throttled}'


def _waits(move: dict[str, Any]) -> str:
    after = move.get('after') or ()
    return f', after {", ".join(map(str, after))}' if after else ''


def _loads(value: Any) -> str:
    found = value or {}
    return (
        f'CPU spread {_figure(found, "cpu_stddev")}, '
        f'peak {_figure(found, "cpu_max", 2)}; '
        f'memory spread {_figure(found, "memory_stddev")}, '
        f'peak {_figure(found, "memory_max", 2)}'
    )


def _figure(found: dict[str, Any], key: str, digits: int = 3) -> str:
    return f'{found[key]:.{digits}f}' if key in found else '-'


def _bound(value: Any) -> str:
    """Say what no plan does better; nothing where nothing is proven."""
    found = value or {}
    parts = [
        f'no plan gets the {what} under {found[key]:.{digits}f}'
        for key, what, digits in (
            ('cpu_max', 'peak', 2),
            ('cpu_stddev', 'spread', 3),
        )
        if found.get(key)
    ]
    if found.get('moves'):
        parts.append(
            f'no plan gets there with fewer than {found["moves"]} moves'
        )
    if found.get('makespan_seconds'):
        parts.append(
            f'these moves take at least {found["makespan_seconds"]:.0f} s'
        )
    return listing.one_per_line(parts) or '-'


def _seconds(value: Any) -> str:
    return '-' if value is None else f'{value:.0f} s'


def _named(
    key: str,
) -> collections.abc.Callable[[Any], str]:
    def shown(value: Any) -> str:
        return (
            listing.one_per_line(
                f'{one[key]}: {one["reason"]}' for one in value or ()
            )
            or '-'
        )

    return shown


def _lines(value: Any) -> str:
    return listing.one_per_line(value or ()) or '-'


COLUMNS = (
    listing.Column('policy', 'Policy'),
    listing.Column(
        'summary', 'Summary', lambda value: listing.one_per_line([value])
    ),
    listing.Column('moves', 'Moves', _moves),
    listing.Column('before', 'Before', _loads),
    listing.Column('after', 'After', _loads),
    listing.Column('bound', 'Bound', _bound),
    listing.Column('makespan_seconds', 'Takes', _seconds),
    listing.Column('purposes', 'For', of_row=frontier_view.purposes),
    listing.Column('frontier', 'In parts', of_row=frontier_view.table),
    listing.Column('still_hot', 'Stay hot', _named('host')),
    listing.Column('unplaced', 'Unplaced', _named('instance')),
    listing.Column('warnings', 'Warnings', _lines),
)
