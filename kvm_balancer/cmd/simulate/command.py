"""``kvm-balancer simulate``: what the agent would do, in virtual time."""

import argparse
import pathlib
from typing import Any
from typing import TextIO
from typing import TYPE_CHECKING

from kvm_balancer import errors
from kvm_balancer.cmd import action
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import offline

if TYPE_CHECKING:
    from kvm_balancer.cmd.simulate import run as runs

_HELP_SHARES = (
    ('migration-failures', 'Share of migrations that break off.'),
    ('lost-samples', 'Share of samples that never arrive.'),
    ('wrong-samples', 'Share of readings that are wrong by a factor of 10.'),
    ('noise', 'Standard deviation of readings, as a share of them.'),
)
_HELP_RATES = (
    ('arrivals', 'Instances that arrive in a day.'),
    ('departures', 'Instances that are deleted in a day.'),
    ('host-failures', 'Hosts that die in a day, to come back empty.'),
)


class Simulate(action.Action):
    """Let the agent balance a fleet in virtual time, and report on it.

    Policies, planner, hold times, cooldowns, windows and budgets are those
    of the configuration; nothing real is touched.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_fleet(parser)
        _add_time(parser)
        parser.add_argument(
            '--policy',
            metavar='NAME[,NAME]',
            type=offline.names,
            help='Policies to follow (default: [agent] policies).',
        )
        parser.add_argument(
            '--compare',
            metavar='GROUP.OPTION=VALUE',
            action='append',
            default=[],
            help='Simulate the same once more with one option set otherwise, '
            "or with 'nothing' done; may be given several times.",
        )
        parser.add_argument(
            '--seed',
            type=arguments.whole_number(0, 2**31 - 1),
            default=0,
            metavar='N',
            help='Of all that is left to chance (default: %(default)s).',
        )
        parser.add_argument(
            '--report',
            type=pathlib.Path,
            metavar='DIR',
            help='Leave report.html and report.json there.',
        )
        _add_chances(parser)

    def act(self, parsed_args: argparse.Namespace) -> action.Row:
        # Arithmetic and plugins take a third of a second to load.
        from kvm_balancer.cmd.simulate import page
        from kvm_balancer.cmd.simulate import run

        if parsed_args.watch_hours >= parsed_args.hours:
            raise errors.ConfigurationError(
                f'--watch-hours {parsed_args.watch_hours:g} leaves nothing '
                f'of --hours {parsed_args.hours:g}'
            )
        told = self.progress_stream(parsed_args)
        folder: pathlib.Path | None = parsed_args.report
        if folder is not None:
            _make(folder)
        found = run.run(self.app.conf, parsed_args, _Teller(told))
        done: dict[str, Any] = run.document(found, series=False)
        _show(found, told)
        if folder is None:
            return done
        files = page.write(found, folder)
        print(f'See {", ".join(map(str, files))}', file=told)
        return {**done, 'files': [str(one) for one in files]}


def _add_fleet(parser: argparse.ArgumentParser) -> None:
    """Add what lives: the fleet, and its load."""
    parser.add_argument(
        '--fleet',
        required=True,
        metavar='FILE',
        help='The fleet to begin with (kvm-balancer/fleet/1).',
    )
    parser.add_argument(
        '--load',
        metavar='FILE',
        help='What its instances use over time (kvm-balancer/load/1, '
        'also gzipped). Instances that are not in it draw a trace and a '
        'time shift. Without it, a load is made up around the usage '
        'that the fleet has.',
    )
    parser.add_argument(
        '--load-factor',
        type=arguments.size,
        default=1.0,
        metavar='X',
        help='Multiply a recorded load by this (default: %(default)s).',
    )


def _add_time(parser: argparse.ArgumentParser) -> None:
    """Add when it begins, and how long and by which steps it lasts."""
    parser.add_argument(
        '--hours',
        type=arguments.size,
        default=24.0,
        metavar='N',
        help='Hours to simulate (default: %(default)s).',
    )
    parser.add_argument(
        '--start',
        type=arguments.moment,
        metavar='TIME',
        help='When it begins, as "2026-12-05 22:30", in UTC: change '
        'windows, weekends, and the part of a recorded load that is '
        'played back go by it (default: when the recorded load begins; '
        'without one, a Thursday at midnight).',
    )
    parser.add_argument(
        '--watch-hours',
        type=arguments.amount,
        default=0.0,
        metavar='N',
        help='Hours of these in which the agent only looks at first; '
        'they are not counted (default: %(default)s).',
    )
    parser.add_argument(
        '--step',
        type=arguments.span(1.0, 3600.0),
        default=30.0,
        metavar='SECONDS',
        help='Time from one look at the fleet to the next (default: '
        '%(default)s). Longer is faster; the agent decides no sooner.',
    )


def _add_chances(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('what happens by chance')
    for name, text in _HELP_RATES:
        group.add_argument(
            f'--{name}',
            type=arguments.amount,
            default=0.0,
            metavar='N',
            help=text,
        )
    for name, text in _HELP_SHARES:
        group.add_argument(
            f'--{name}',
            type=arguments.span(0.0, 100.0),
            default=0.0,
            metavar='PERCENT',
            help=text,
        )


def _make(folder: pathlib.Path) -> None:
    """Make the folder of the report before an hour is spent on it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.ConfigurationError(
            f'the report cannot be left in {folder}: {error.strerror}'
        ) from None


class _Teller:
    """Tells people how far a simulation is, on a terminal alone."""

    def __init__(self, told: TextIO) -> None:
        self._told = told
        self._shown = -1

    def __call__(self, name: str, share: float) -> None:
        percent = int(100.0 * share)
        if percent == self._shown or not self._told.isatty():
            return
        self._shown = percent
        end = '\n' if percent == 100 else '\r'
        print(f'{name}: {percent:3d} %', end=end, file=self._told, flush=True)


def _show(found: 'runs.Comparison', told: TextIO) -> None:
    """Print the figures, one line for each and one column a variant."""
    from kvm_balancer.cmd.simulate import wording

    if found.withheld:
        print(f'{found.withheld}.', file=told)
    names = [one.name for one in found.runs]
    for number, name in enumerate(names, start=1):
        print(f'({number}) {name}', file=told)
    width = max(10, min(16, 46 // len(names)))
    heads = ''.join(f'{f"({n + 1})":>{width}}' for n in range(len(names)))
    print(f'{"":34}{heads}', file=told)
    for row in wording.rows([one.figures for one in found.runs]):
        cells = ''.join(f'{cell:>{width}}' for cell in row.cells)
        print(f'{row.title:34}{cells}', file=told)
