"""Run one benchmark of migration, or several in one run."""

import argparse
import collections.abc
import functools
import pathlib
import signal
import sys
import traceback

from benchmarks.migration import decision
from benchmarks.migration import downtime
from benchmarks.migration import ground
from benchmarks.migration import load
from benchmarks.migration import means
from benchmarks.migration import overhead
from benchmarks.migration import prediction
from benchmarks.migration import ratio
from benchmarks.migration import report
from benchmarks.migration import simulated

SIMULATED = 'simulated'

#: Those that share the hosts, by name: what to run, how often, and how many
#: minutes that takes.
ON_TWO_HOSTS: dict[
    str,
    tuple[
        collections.abc.Callable[[ground.Ground, int], report.Report],
        int,
        float,
    ],
] = {
    'overhead': (overhead.run, 16, 2.5),
    'decision': (decision.run, 6, 3.0),
    'ratio': (ratio.run, 2, 15.0),
    'downtime': (downtime.run, 20, 6.5),
    'means': (means.run, 2, 3.0),
    'prediction': (prediction.run, 22, 17.0),
    SIMULATED: (simulated.run, 1, 11.0),
}
#: The one that brings hosts with services of its own.
LOAD, LOAD_WAYS, LOAD_MINUTES = 'load', 2, 3.0


def main() -> None:
    """Measure and print."""
    lasting = {name: one[1:] for name, one in ON_TWO_HOSTS.items()}
    lasting[LOAD] = LOAD_WAYS, LOAD_MINUTES
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.migration',
        description=__doc__,
        epilog='By default: '
        + '; '.join(
            f'{name} --pairs {pairs}, {minutes:g} minutes'
            for name, (pairs, minutes) in lasting.items()
        )
        + '.',
    )
    parser.add_argument(
        'names', nargs='*', metavar='NAME', help=f'of {", ".join(lasting)}'
    )
    parser.add_argument(
        '--pairs', type=int, metavar='N', help='how often each is repeated'
    )
    _add_simulated(parser)
    asked = parser.parse_args()
    if asked.replay is not None:
        try:
            found = simulated.replay(asked.replay)
        except (OSError, ValueError) as error:
            parser.error(f'--replay: {error}')
        found.show()
        return
    names = asked.names or list(lasting)
    for name in names:
        if name not in lasting:
            parser.error(f'there is no benchmark {name}')
    absent = ground.missing(*(['rabbitmq-server'] if LOAD in names else []))
    if absent:
        sys.exit(f'benchmarks of migration: {absent}')
    # So that nothing is left behind by who is told to end.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    shared = [name for name in names if name != LOAD]
    broken = 0
    if shared:
        with ground.prepared() as place:
            for name in shared:
                broken += not _one(place, name, asked)
    if LOAD in names:
        load.run(asked.pairs or LOAD_WAYS).show()
    sys.exit(1 if broken else 0)


def _add_simulated(parser: argparse.ArgumentParser) -> None:
    """Add the options that only simulated has."""
    own = parser.add_argument_group(SIMULATED)
    cases = {case.name: case for case in simulated.CASES}
    own.add_argument(
        '--case',
        action='append',
        choices=cases,
        metavar='CASE',
        help=f'only this one; may be repeated: {"; ".join(cases)}',
    )
    own.add_argument(
        '--record',
        type=pathlib.Path,
        metavar='FILE',
        help='add what was seen to it',
    )
    own.add_argument(
        '--replay',
        type=pathlib.Path,
        metavar='FILE',
        help='simulate anew what was recorded, and migrate nothing',
    )


def _one(place: ground.Ground, name: str, asked: argparse.Namespace) -> bool:
    """Run one and show it; one that breaks does not take the others along."""
    benchmark, pairs, _ = ON_TWO_HOSTS[name]
    if name == SIMULATED:
        benchmark = functools.partial(
            simulated.run,
            cases=[
                case
                for case in simulated.CASES
                if not asked.case or case.name in asked.case
            ],
            record=asked.record,
        )
    place.damaged.clear()
    try:
        found = benchmark(place, asked.pairs or pairs)
    except Exception:
        traceback.print_exc()
        place.clear()
        return False
    if place.damaged:
        found.notes.append(
            f'{len(place.damaged)} guests found pages that were not as they '
            f'had left them: QEMU, under emulation'
        )
    found.show()
    return True


if __name__ == '__main__':
    main()
