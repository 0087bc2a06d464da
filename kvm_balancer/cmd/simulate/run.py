"""All variants of a simulation, one after the other, and what they were."""

import argparse
import collections.abc
import dataclasses
import datetime
import functools
from typing import Any

import numpy as np

from kvm_balancer.cmd import offline
from kvm_balancer.cmd.simulate import setting
from kvm_balancer.planner import reasons
from kvm_balancer.simulation import engine
from kvm_balancer.simulation import figures
from kvm_balancer.simulation import record as records

SCHEMA = 'kvm-balancer/simulation/1'
#: Points of a series that a report keeps.
_POINTS = 720
#: Series of which the highest of several looks counts, not their mean.
_HIGHEST = ('peak', 'over', 'migrations')


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One variant, simulated."""

    name: str
    record: records.Record
    figures: figures.Figures
    series: records.Series


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All variants of one simulation; the first is as configured.

    :ivar title: what was simulated, in one line
    :ivar withheld: of how many instances nothing moves any; empty of few
    """

    title: str
    runs: tuple[Run, ...]
    withheld: str = ''


def run(
    conf: Any,
    parsed_args: argparse.Namespace,
    tell: collections.abc.Callable[[str, float], None],
) -> Comparison:
    """Simulate what is asked for.

    :param tell: hears which variant is under way, and how far it is
    :raises ConfigurationError: when a file cannot be read, or an option is
        wrong
    :raises DocumentError: when a file does not hold what it should
    """
    fleet = setting.read_fleet(
        offline.read(parsed_args.fleet, '--fleet'), parsed_args.fleet
    )
    recording = None
    if parsed_args.load is not None:
        recording = setting.read_load(
            offline.read(parsed_args.load, '--load'), parsed_args.load
        )
    found = []
    scenario = setting.scenario(parsed_args, conf.relieve.limit, recording)
    for one in setting.variants(conf, parsed_args.policy, parsed_args.compare):
        record = engine.run(
            fleet,
            setting.load_of(recording, parsed_args),
            one.agent,
            scenario,
            functools.partial(tell, one.name),
        )
        found.append(
            Run(
                one.name,
                record,
                figures.summed_up(record),
                _thinned(record.series),
            )
        )
    title = (
        f'{len(fleet.hosts):,} hosts, {len(fleet.instances):,} instances, '
        f'{parsed_args.hours:g} hours from {_date(scenario.start)}, '
        f'load {parsed_args.load or "made up"}, seed {parsed_args.seed}'
    )
    return Comparison(title, tuple(found), reasons.withheld(fleet))


def _date(moment: float) -> str:
    """Say when a simulation begins, with the day of the week."""
    found = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return f'{found:%a %Y-%m-%d %H:%M}'


def document(found: Comparison, series: bool) -> dict[str, Any]:
    """Return a comparison in plain types.

    :param series: also everything over time, and all plans and migrations
    """
    return {
        'schema': SCHEMA,
        'title': found.title,
        'runs': [_run(one, series) for one in found.runs],
    }


def _run(one: Run, series: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        'name': one.name,
        'figures': dataclasses.asdict(one.figures),
    }
    if series:
        row['series'] = {
            field.name: np.round(getattr(one.series, field.name), 4).tolist()
            for field in dataclasses.fields(one.series)
        }
        row['plans'] = [dataclasses.asdict(plan) for plan in one.record.plans]
        row['gains'] = [
            dataclasses.asdict(verdict) for verdict in one.record.verdicts
        ]
        row['migrations'] = [
            {
                'instance': move.instance,
                'source': move.source,
                'destination': move.destination,
                'began': move.began,
                'completed': move.completed,
                'predicted_seconds': move.predicted.total_seconds,
                'seconds': move.taken.total_seconds,
                'mib': move.taken.total_mib,
            }
            for move in one.record.migrations
        ]
        row['notices'] = list(one.record.notices)
    return row


def _thinned(series: records.Series) -> records.Series:
    """Return fewer points; of peaks, none is lost."""
    size = max(1, -(-len(series.second) // _POINTS))
    first = np.arange(0, len(series.second), size)

    def thin(name: str) -> Any:
        column = getattr(series, name)
        if name == 'second':
            return column[first]
        if name in _HIGHEST:
            return np.maximum.reduceat(column, first)
        counts = np.diff(np.append(first, len(column)))
        return np.add.reduceat(column, first) / counts

    return records.Series(
        **{
            field.name: thin(field.name)
            for field in dataclasses.fields(series)
        }
    )
