"""The demonstration as a picture: loads over time, and each migration."""

import pathlib
from typing import Any

from kvm_balancer.cmd import picture_style
from kvm_balancer.cmd.demo import record
from kvm_balancer.cmd.demo import theatre

#: Hosts that began hottest, hottest first; all others are cool.
_HOT = ('#b2182b', '#e0602f', '#f0a040')
_COOL = '#7f9fbf'
_TARGET = '#2a7f62'
_FAILED = '#222222'


def draw(
    seen: record.Record, goals: theatre.Goals, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Draw the record; return the files that were written."""
    # matplotlib takes a second to load, and looks for a display.
    import matplotlib as mpl

    mpl.use('Agg')
    from matplotlib import pyplot

    trips = [one for one in seen.trips.values() if one.ended_at is not None]
    trips.sort(key=lambda one: (one.begun_at, one.name))
    height = 7.2 + 0.24 * max(len(trips), 6)
    with pyplot.rc_context(_style()):
        figure, axes = pyplot.subplots(
            3,
            1,
            sharex=True,
            figsize=(11.0, height),
            height_ratios=[4.2, 1.5, 0.24 * max(len(trips), 6) + 0.4],
            layout='constrained',
        )
        colors = _colors(seen)
        _title(figure, seen)
        _loads(axes[0], seen, goals, colors)
        _spread(axes[1], seen, goals)
        _trips(axes[2], trips, colors)
        # room for what stands behind the last bar
        axes[2].set_xlim(0.0, 1.08 * seen.last.at)
        axes[2].set_xlabel('seconds since the agent saw the fleet')
        files = [folder / 'demo.png', folder / 'demo.svg']
        for file in files:
            figure.savefig(file, dpi=130)
        pyplot.close(figure)
    return files


def _style() -> dict[Any, Any]:
    return picture_style.settings(
        'kvm_balancer',
        {
            'axes.titlecolor': picture_style.INK,
            'axes.axisbelow': True,
        },
    )


def _colors(seen: record.Record) -> dict[str, str]:
    first = seen.looks[0].loads
    hottest = sorted(first, key=lambda name: -first[name])[: len(_HOT)]
    return {
        name: _HOT[hottest.index(name)] if name in hottest else _COOL
        for name in first
    }


def _title(figure: Any, seen: record.Record) -> None:
    before, after = seen.looks[0], seen.last
    many = len(seen.trips)
    figure.suptitle(
        f'{len(before.loads)} hosts, balanced in {many} live migrations\n\n',
        x=0.01,
        ha='left',
        fontsize=15,
        fontweight='bold',
        linespacing=0.9,
    )
    figure.text(
        0.01,
        1.0,
        f'\n\nspread of CPU load {before.spread:.3f} → {after.spread:.3f}, '
        f'hottest host {before.peak:.0%} → {after.peak:.0%}',
        va='top',
        color=picture_style.FAINT,
        fontsize=11,
    )


def _loads(
    axis: Any,
    seen: record.Record,
    goals: theatre.Goals,
    colors: dict[str, str],
) -> None:
    times = [one.at for one in seen.looks]
    cool_named = False
    for name, color in colors.items():
        hot = color != _COOL
        label = name if hot else None
        if not hot and not cool_named:
            cool_named = True
            label = 'the other hosts'
        axis.plot(
            times,
            [100.0 * one.loads.get(name, 0.0) for one in seen.looks],
            color=color,
            linewidth=2.2 if hot else 1.3,
            zorder=3 if hot else 2,
            label=label,
        )
    axis.axhline(
        100.0 * goals.limit,
        color=picture_style.INK,
        linestyle='--',
        linewidth=1,
    )
    axis.annotate(
        f'limit {goals.limit:.0%}',
        (1.0, 100.0 * goals.limit),
        xycoords=('axes fraction', 'data'),
        xytext=(-4, 4),
        textcoords='offset points',
        ha='right',
        fontsize=9,
    )
    axis.set_ylim(0.0, 105.0)
    axis.set_ylabel('CPU load (%)')
    axis.set_title('CPU load of each host')
    lines, labels = axis.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda row: labels[row])
    axis.legend(
        [lines[row] for row in order],
        [labels[row] for row in order],
        frameon=False,
        ncols=4,
        loc='upper right',
        fontsize=9,
    )


def _spread(axis: Any, seen: record.Record, goals: theatre.Goals) -> None:
    times = [one.at for one in seen.looks]
    spread = [one.spread for one in seen.looks]
    axis.fill_between(times, spread, color=_COOL, alpha=0.35, linewidth=0)
    axis.plot(times, spread, color=picture_style.INK, linewidth=1.6)
    axis.axhline(goals.target, color=_TARGET, linestyle='--', linewidth=1.2)
    axis.annotate(
        f'target {goals.target:g}',
        (1.0, goals.target),
        xycoords=('axes fraction', 'data'),
        xytext=(-4, 4),
        textcoords='offset points',
        ha='right',
        fontsize=9,
        color=_TARGET,
    )
    axis.set_ylim(0.0, 1.15 * max(spread))
    axis.set_ylabel('spread')
    axis.set_title('Spread: standard deviation of CPU load over the hosts')


def _trips(
    axis: Any, trips: list[record.Trip], colors: dict[str, str]
) -> None:
    for row, trip in enumerate(trips):
        failed = trip.outcome != 'completed'
        width = (trip.ended_at or trip.begun_at) - trip.begun_at
        axis.barh(
            row,
            width,
            left=trip.begun_at,
            height=0.66,
            color='white' if failed else colors.get(trip.source, _COOL),
            edgecolor=_FAILED if failed else 'none',
            hatch='////' if failed else None,
        )
        said = f'{trip.gib:.1f} GiB'
        if trip.downtime_ms is not None:
            said += f', {trip.downtime_ms:.0f} ms down'
        axis.annotate(
            trip.outcome if failed else said,
            (trip.begun_at + width, row),
            xytext=(5, 0),
            textcoords='offset points',
            va='center',
            fontsize=8,
            color=picture_style.FAINT,
        )
    axis.set_yticks(
        range(len(trips)),
        [f'{one.name}   {one.source} → {one.destination}' for one in trips],
        fontsize=8,
    )
    axis.set_ylim(len(trips) - 0.4, -0.6)
    axis.grid(False, axis='y')
    axis.tick_params(axis='y', length=0)
    axis.set_title('Live migrations, in the colour of the host they relieve')
