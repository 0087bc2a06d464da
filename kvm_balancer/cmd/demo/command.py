"""``kvm-balancer demo``: the command line of the demonstration."""

import argparse
import collections.abc
import contextlib
import logging
import pathlib
import sys
from typing import TextIO

from kvm_balancer import errors
from kvm_balancer.cmd import action
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import startup
from kvm_balancer.cmd.demo import fleet
from kvm_balancer.cmd.demo import picture
from kvm_balancer.cmd.demo import theatre
from kvm_balancer.cmd.demo import verdict
from kvm_balancer.cmd.demo import view
from kvm_balancer.cmd.demo import watching


class Demo(action.Action):
    """Balance a simulated fleet, with the real agent and executors.

    Needs neither root nor libvirt nor a broker. Leaves a picture of it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.epilog = (
            'Exit codes: 0 when the fleet was balanced and every instance '
            'exists exactly once; 1 otherwise; 130 after Ctrl-C.'
        )
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--seconds',
            type=arguments.whole_number(5, 3600),
            default=60,
            metavar='N',
            help='End after so long at the latest (default: %(default)s).',
        )
        parser.add_argument(
            '--result',
            type=pathlib.Path,
            default=pathlib.Path('demo-result'),
            metavar='DIR',
            help='Leave the picture and the log there (default: %(default)s).',
        )
        parser.add_argument(
            '--seed',
            type=arguments.whole_number(0, 2**31 - 1),
            default=1,
            metavar='N',
            help='Another seed makes another fleet (default: %(default)s).',
        )
        parser.add_argument(
            '--no-live',
            dest='live',
            action='store_false',
            help='Print lines, on a terminal as well.',
        )

    def act(self, parsed_args: argparse.Namespace) -> action.Row:
        result: pathlib.Path = parsed_args.result
        try:
            result.mkdir(parents=True, exist_ok=True)
            log = logging.FileHandler(result / 'demo.log', mode='w')
        except OSError as error:
            raise errors.ConfigurationError(
                f'the result cannot be left in {result}: {error.strerror}'
            ) from None
        goals = theatre.Goals()
        made = fleet.make_fleet(parsed_args.seed)
        told = self.progress_stream(parsed_args)
        shown = view.view(told, goals, parsed_args.live)
        shown.note(
            f'{len(made.hosts)} simulated hosts, {len(made.instances)} '
            'instances; starting the agent and an executor for each host'
        )
        with (
            _logged(log),
            theatre.Theatre(made, goals, parsed_args.seed) as stage,
        ):
            with shown:
                seen = watching.watch(
                    stage, goals, parsed_args.seconds, shown.show
                )
            found = verdict.judge(
                seen, goals, stage.executions(), len(made.instances)
            )
        files = [*picture.draw(seen, goals, result), result / 'demo.log']
        _report(found, files, told)
        self.exit_code = startup.EXIT_FAILURE if found.problems else 0
        return {
            'figures': [
                {'name': name, 'before': before, 'after': after}
                for name, before, after in found.figures
            ],
            'facts': dict(found.facts),
            'problems': list(found.problems),
            'files': [str(file) for file in files],
        }


@contextlib.contextmanager
def _logged(handler: logging.Handler) -> collections.abc.Iterator[None]:
    """Send what is logged to a file, and nothing of it to the terminal."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    handler.setFormatter(
        logging.Formatter('%(asctime)s %(levelname)s %(name)s: %(message)s')
    )
    root.handlers, root.level = [handler], logging.INFO
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        handler.close()


def _report(
    found: verdict.Verdict, files: list[pathlib.Path], told: TextIO
) -> None:
    """Tell people what came of it."""
    lines = ['', f'{"":24}{"before":>18}{"after":>18}']
    lines += [
        f'{name:24}{before:>18}{after:>18}'
        for name, before, after in found.figures
    ]
    lines += ['', *(f'{name}: {value}' for name, value in found.facts)]
    lines += ['', f'See {", ".join(str(file) for file in files)}']
    print('\n'.join(lines), file=told)
    for problem in found.problems:
        print(f'kvm-balancer: {problem}', file=sys.stderr)
