"""The command ``kvm-balancer``: global options, and the way to a command.

Commands are plugins of the group ``kvm_balancer.cli``; underscores in their
names stand for spaces. What a command raises on purpose becomes one line and
an exit code in :mod:`.startup`; ``--debug`` shows where it came from.
"""

import argparse
import collections.abc
import functools
import importlib.metadata
import inspect
import itertools
import logging
import sys
import traceback
from typing import Any
from typing import NoReturn

from cliff import app
from cliff import commandmanager
from cliff import help as cliff_help
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import configuration
from kvm_balancer.cmd import startup

PROGRAM = 'kvm-balancer'
_COMMANDS = 'kvm_balancer.cli'

#: They log what they also raise, and we say it in one line.
_TALKATIVE = (
    'amqp',
    'kombu',
    'oslo',
    'oslo_db',
    'oslo_messaging',
    'stevedore',
)


class _Commands(commandmanager.CommandManager):
    """Finds commands without importing those that are not asked for."""

    def load_commands(self, namespace: str) -> None:
        self.group_list.append(namespace)
        for found in importlib.metadata.entry_points(group=namespace):
            self.commands[found.name.replace('_', ' ')] = found


class Application(app.App):
    """The application around all commands."""

    NAME = PROGRAM
    LOG = logging.getLogger(PROGRAM)
    DEFAULT_VERBOSE_LEVEL = 0

    def __init__(self, **streams: Any) -> None:
        # cliff names the program in --version by the class it is written in.
        app.App.NAME = PROGRAM
        super().__init__(
            description='Keeps a fleet of KVM hosts balanced.',
            version=importlib.metadata.version(PROGRAM),
            command_manager=_Commands(_COMMANDS),
            # --help after a command is about that command.
            deferred_help=True,
            **streams,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        parser = super().build_option_parser(
            description,
            version,
            {
                'prog': PROGRAM,
                'allow_abbrev': False,
                **(argparse_kwargs or {}),
            },
        )
        parser.add_argument(
            '--config-file',
            action='append',
            metavar='FILE',
            help='Read this configuration file; can be repeated, later ones '
            'win. Default: kvm_balancer.conf and kvm-balancer.conf in '
            '/etc/kvm_balancer.',
        )
        parser.add_argument(
            '--config-dir',
            action='append',
            metavar='DIR',
            help='Read all files of this directory that end in .conf as well.',
        )
        _complain_in_one_line(parser)
        return parser

    def configure_logging(self) -> None:
        """Let warnings through, and more where it was asked for."""
        super().configure_logging()
        if self.options.debug or self.options.verbose_level:
            return
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    @functools.cached_property
    def conf(self) -> cfg.ConfigOpts:
        """The configuration, read when a command first needs it.

        :raises cfg.Error: when a file is missing or cannot be read
        """
        return configuration.load(
            PROGRAM, self.options.config_file, self.options.config_dir
        )

    def run(self, argv: list[str]) -> int:
        """Run one command and return its exit code.

        :raises KVMBalancerError: what the command raises
        """
        _refuse_undecodable(argv)
        self.options, rest = self.parser.parse_known_args(argv)
        self.configure_logging()
        if self.options.deferred_help:
            rest = ['help', *_words(rest)]
        if not rest:
            raise errors.ConfigurationError(
                f"no command was given; '{PROGRAM} --help' lists them"
            )
        try:
            return self.run_subcommand(rest)
        except cliff_help.HelpExit:
            return 0
        except Exception:
            if self.options.debug:
                traceback.print_exc(file=self.stderr)
            raise

    def run_subcommand(self, argv: list[str]) -> int:
        """Find the command that *argv* names and run it."""
        try:
            if argv[0] == 'help' and not self._helps(argv[1:]):
                raise ValueError(argv)
            factory, name, rest = self.command_manager.find_command(argv)
        except ValueError as error:
            raise errors.ConfigurationError(self._unknown(argv)) from error
        except (ImportError, AttributeError) as error:
            raise errors.PluginError(
                f'the command {argv[0]!r} does not load: {error}'
            ) from error
        options: dict[str, Any] = {}
        if 'cmd_name' in inspect.getfullargspec(factory.__init__).args:
            options['cmd_name'] = name
        command = factory(self, self.options, **options)
        parser = command.get_parser(f'{PROGRAM} {name}')
        _complain_in_one_line(parser)
        try:
            return int(command.run(parser.parse_args(rest)) or 0)
        except ValueError as error:
            if 'No recognized column names' not in str(error):
                raise
            raise errors.ConfigurationError(f'--column: {error}') from None

    def _helps(self, words: list[str]) -> bool:
        """Say whether ``help`` finds something; else it would raise."""
        return not words or any(
            name.startswith(words[0]) for name in self.command_manager.commands
        )

    def _unknown(self, argv: list[str]) -> str:
        argv = argv[1:] if argv[0] == 'help' else argv
        if argv[0].startswith('-'):
            return (
                f"unknown option {argv[0]}; '{PROGRAM} --help' lists those "
                'that go before a command'
            )
        near = self.get_fuzzy_matches(argv[0])
        hint = f'; did you mean {", ".join(map(repr, near))}?' if near else ''
        return f'there is no command {" ".join(argv[:2])!r}{hint}'


def _words(arguments: list[str]) -> list[str]:
    """Return what comes before the first option."""
    return list(
        itertools.takewhile(lambda one: not one.startswith('-'), arguments)
    )


def _refuse_undecodable(arguments: list[str]) -> None:
    """Refuse what no text is: nothing that it could name would be found.

    :raises ConfigurationError: with the first of them
    """
    for one in arguments:
        # Bytes that are no text arrive as halves of surrogate pairs.
        if not one.isprintable() and any(
            '\ud800' <= c <= '\udfff' for c in one
        ):
            raise errors.ConfigurationError(
                f'the argument {one!r} is no text: it is not encoded as '
                f'{sys.getfilesystemencoding()}'
            )


def _complain_in_one_line(parser: argparse.ArgumentParser) -> None:
    """Leave the usage, which fills a screen, to ``--help``."""

    def error(message: str) -> NoReturn:
        parser.exit(
            startup.EXIT_USAGE,
            f"{PROGRAM}: {message}; see '{parser.prog} --help'\n",
        )

    parser.error = error  # type: ignore[method-assign]


def main(argv: collections.abc.Sequence[str] | None = None) -> int:
    """Run the console script ``kvm-balancer``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return startup.run(lambda: Application().run(arguments))


if __name__ == '__main__':
    sys.exit(main())
