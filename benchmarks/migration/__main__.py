"""Run one benchmark of migration, or several in one run."""

import argparse
import collections.abc
import sys

from benchmarks.migration import decision
from benchmarks.migration import downtime
from benchmarks.migration import ground
from benchmarks.migration import means
from benchmarks.migration import overhead
from benchmarks.migration import ratio
from benchmarks.migration import report
from kvm_balancer import cmd  # noqa: F401 - keeps libraries quiet

Benchmark = collections.abc.Callable[[ground.Ground, int], report.Report]

#: By name: what to run, how often, and how many minutes that takes.
BENCHMARKS: dict[str, tuple[Benchmark, int, float]] = {
    'overhead': (overhead.run, 12, 2.0),
    'decision': (decision.run, 6, 3.0),
    'ratio': (ratio.run, 2, 8.0),
    'downtime': (downtime.run, 20, 6.0),
    'means': (means.run, 2, 3.0),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.migration',
        description=__doc__,
        epilog='; '.join(
            f'{name}: {pairs} pairs, about {minutes:g} minutes'
            for name, (_, pairs, minutes) in BENCHMARKS.items()
        ),
    )
    parser.add_argument('names', nargs='*', choices=[*BENCHMARKS, []])
    parser.add_argument('--pairs', type=int, metavar='N')
    asked = parser.parse_args()
    absent = ground.missing()
    if absent:
        sys.exit(f'benchmarks of migration: {absent}')
    with ground.prepared() as place:
        for name in asked.names or BENCHMARKS:
            benchmark, pairs, _ = BENCHMARKS[name]
            benchmark(place, asked.pairs or pairs).show()


if __name__ == '__main__':
    main()
