"""Commands that do something, and say in JSON what they did."""

import abc
import argparse
import json
from typing import Any
from typing import TextIO

from cliff import command

from kvm_balancer.cmd import cli

Row = dict[str, Any]


class Action(command.Command):
    """A command that does something, and can say in JSON what it did.

    For people it tells on standard output how far it is; with ``-f json``
    it does so on standard error, and standard output gets one document.
    """

    app: cli.Application
    #: what the command ends with; set by :meth:`act` where it is not 0
    exit_code = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '-f',
            '--format',
            dest='formatter',
            choices=('text', 'json'),
            default='text',
            help='How it tells what it did (default: %(default)s).',
        )
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what this command takes."""

    @abc.abstractmethod
    def act(self, parsed_args: argparse.Namespace) -> Row:
        """Do it, and return what was done."""

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        done = self.act(parsed_args)
        if parsed_args.formatter == 'json':
            self.app.stdout.write(json.dumps(done, indent=2) + '\n')
        return self.exit_code

    def progress_stream(self, parsed_args: argparse.Namespace) -> TextIO:
        """Return where people are told how far it is."""
        stream: TextIO = (
            self.app.stderr
            if parsed_args.formatter == 'json'
            else self.app.stdout
        )
        return stream
