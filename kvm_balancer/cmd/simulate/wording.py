"""The figures of simulations in words and numbers for people."""

import collections.abc
import dataclasses

from kvm_balancer.simulation import figures

_Cell = collections.abc.Callable[[figures.Figures], str]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One figure of every variant."""

    title: str
    cells: tuple[str, ...]


def _share(whole: float, part: float) -> str:
    return f'{part / whole:.0%}' if whole > 0 else '-'


_ROWS: tuple[tuple[str, _Cell], ...] = (
    ('spread of CPU load, mean', lambda f: f'{f.spread_mean:.3f}'),
    ('hottest host, mean', lambda f: f'{f.peak_mean:.2f}'),
    ('hottest host, 99th percentile', lambda f: f'{f.peak_p99:.2f}'),
    ('host hours over the limit', lambda f: f'{f.over_hours:,.1f}'),
    ('plans', lambda f: f'{f.plans:,}'),
    ('moves', lambda f: f'{f.moves:,}'),
    ('moves an instance a day', lambda f: f'{f.moves_a_day:.3f}'),
    ('GiB moved', lambda f: f'{f.gib:,.0f}'),
    ('migrations that failed', lambda f: f'{f.failed:,}'),
    ('moves dropped at their turn', lambda f: f'{f.dropped:,}'),
    ('moved twice within 2 hours', lambda f: f'{f.moved_twice:,}'),
    ('instances moved more than once', lambda f: f'{f.moved_again:,}'),
    ('most moves of one instance', lambda f: f'{f.most_moves:,}'),
    ('gain seen of gain promised', lambda f: _share(f.promised, f.seen)),
    (
        'time taken of time predicted',
        lambda f: _share(f.predicted_seconds, f.taken_seconds),
    ),
    ('downtime, mean ms', lambda f: f'{f.downtime_ms_mean:.0f}'),
    ('instances that arrived', lambda f: f'{f.arrived:,}'),
    ('instances that were deleted', lambda f: f'{f.departed:,}'),
    ('instances nobody had room for', lambda f: f'{f.refused:,}'),
    ('hosts that died', lambda f: f'{f.failed_hosts:,}'),
)


def rows(
    found: collections.abc.Sequence[figures.Figures],
) -> list[Row]:
    """Return the figures of all variants, row by row."""
    return [
        Row(title, tuple(cell(one) for one in found)) for title, cell in _ROWS
    ]
