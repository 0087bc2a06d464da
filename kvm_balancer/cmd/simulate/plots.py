"""Simulations as pictures: SVG that stands in a page by itself."""

import collections.abc
import io
from typing import Any

import matplotlib as mpl
from matplotlib import figure as figures
from matplotlib import ticker

from kvm_balancer.cmd import picture_style
from kvm_balancer.cmd.simulate import run as runs

#: The first is as configured; what is done nothing about is faint.
_COLORS = ('#1f5fa8', '#e0602f', '#2a7f62', '#8b4fa3', '#b08a1e', '#b2182b')
_HOUR = 3600.0
#: Variants that do the same lie upon one another: those below show beside
#: and between those above.
_STROKES = (
    {'linewidth': 2.2},
    {'linewidth': 1.2},
    {'linewidth': 1.2, 'linestyle': (0, (4, 3))},
    {'linewidth': 1.2, 'linestyle': (0, (1, 2))},
)
#: Series of whole numbers.
_COUNTED = ('over', 'migrations')
#: What a picture would say of itself, which its page says already.
_METADATA = ('Creator', 'Date', 'Format', 'Type')
_STYLE = {
    'font.sans-serif': ['DejaVu Sans'],
    # text stays text: smaller, and it can be searched
    'svg.fonttype': 'none',
}


def over_time(found: runs.Comparison) -> list[str]:
    """Draw what changes over time, a picture for each question."""
    limit = found.runs[0].record.limit
    return [
        _lines(found, 'spread', 'Spread of CPU load over the hosts'),
        _lines(found, 'peak', 'Load of the hottest host', limit),
        _lines(found, 'over', f'Hosts over {limit:.2f}'),
        _lines(found, 'migrations', 'Migrations under way'),
    ]


def promises(found: runs.Comparison) -> list[str]:
    """Draw what was promised and predicted against what was seen."""
    gains = {
        one.name: (
            [verdict.promised for verdict in one.record.verdicts],
            [verdict.seen for verdict in one.record.verdicts],
        )
        for one in found.runs
    }
    seconds = {
        one.name: (
            [move.predicted.total_seconds for move in _done(one)],
            [move.taken.total_seconds for move in _done(one)],
        )
        for one in found.runs
    }
    return [
        _against(gains, 'Gain of each plan', 'promised', 'seen'),
        _against(seconds, 'Seconds of each migration', 'predicted', 'taken'),
    ]


def _done(one: runs.Run) -> list[Any]:
    """Return the last migrations that completed: enough for a picture."""
    return [move for move in one.record.migrations if move.completed][-1500:]


def _lines(
    found: runs.Comparison,
    name: str,
    title: str,
    limit: float | None = None,
) -> str:
    with mpl.rc_context(_style(name)):
        figure, axis = _axis(title)
        for number, (one, color) in enumerate(_colored(found.runs)):
            stroke: dict[str, Any] = {'linewidth': 1.2}
            if len(found.runs) > 1:
                stroke = _STROKES[number % len(_STROKES)]
            axis.plot(
                one.series.second / _HOUR,
                getattr(one.series, name),
                color=color,
                label=one.name,
                **stroke,
            )
        if limit is not None:
            axis.axhline(
                limit, color=picture_style.INK, linestyle='--', linewidth=1
            )
        axis.set_ylim(bottom=0.0)
        if name in _COUNTED:
            _count(axis)
        axis.set_xlabel('hours')
        if len(found.runs) > 1:
            axis.legend(frameon=False, fontsize=9)
        return _svg(figure)


def _count(axis: Any) -> None:
    """Have an axis count from none to one at least, by whole numbers."""
    axis.set_ylim(top=max(1.05, axis.get_ylim()[1]))
    axis.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))


def _against(
    pairs: collections.abc.Mapping[str, tuple[list[float], list[float]]],
    title: str,
    across: str,
    up: str,
) -> str:
    with mpl.rc_context(_style(title)):
        figure, axis = _axis(title, width=5.2)
        most = 0.0
        for (name, (one, other)), color in zip(
            pairs.items(), _palette(), strict=False
        ):
            if not one:
                continue
            axis.scatter(one, other, s=9, alpha=0.5, color=color, label=name)
            most = max(most, *one, *other)
        if not any(one for one, _ in pairs.values()):
            most = 1.0
            axis.text(0.5, 0.55, 'none', ha='center')
        axis.plot([0, most], [0, most], color=picture_style.FAINT, linewidth=1)
        axis.set_xlabel(across)
        axis.set_ylabel(up)
        return _svg(figure)


def _axis(title: str, width: float = 10.6) -> tuple[Any, Any]:
    figure = figures.Figure(figsize=(width, 2.9), layout='constrained')
    axis = figure.subplots()
    axis.set_title(title)
    return figure, axis


def _style(salt: str) -> dict[Any, Any]:
    """Return the style; names within one page must not clash."""
    return picture_style.settings(salt, _STYLE)


def _palette() -> collections.abc.Iterator[str]:
    while True:
        yield from _COLORS


def _colored(
    found: collections.abc.Sequence[runs.Run],
) -> collections.abc.Iterable[tuple[runs.Run, str]]:
    return zip(found, _palette(), strict=False)


def _svg(figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format='svg', metadata=dict.fromkeys(_METADATA))
    text = out.getvalue()
    return text[text.index('<svg') :]
