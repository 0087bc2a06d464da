"""The command line in this process, with what it prints and returns."""

import contextlib
import dataclasses
import io
import json
import logging
import os
import pathlib
import tempfile
import unittest
from unittest import mock
import warnings

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import cli


@dataclasses.dataclass
class Ran:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class CommandCase(unittest.TestCase):
    """A test with a configuration file and a directory of its own."""

    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.directory = pathlib.Path(made.name)
        self.conf_file = self.write(
            'kvm-balancer.conf',
            '[DEFAULT]\n'
            'transport_url = rabbit://guest:guest@127.0.0.1:1/\n'
            '[database]\n'
            f'connection = sqlite:///{self.directory}/agent.sqlite\n',
        )
        sized = mock.patch.dict(os.environ, COLUMNS='100')
        sized.start()
        self.addCleanup(sized.stop)

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def run_cli(self, *arguments):
        """Run one command with the configuration of this test."""
        return run_cli('--config-file', self.conf_file, *arguments)


def run_cli(*arguments):
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        # The runner of the tests asks for all of them, an operator does not.
        warnings.simplefilter('ignore')
        try:
            code = cli.main(list(arguments))
        except SystemExit as left:
            code = left.code or 0
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
    return Ran(code, out.getvalue(), err.getvalue())


class FakeAgent:
    """Answers as the agent does, and remembers what it was asked."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def call(self, method, **arguments):
        self.calls.append((method, arguments))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def connected(self):
        """Return what stands in for the way over the bus."""
        return mock.patch.object(
            agent_client,
            'connected',
            lambda conf, patience=0: contextlib.nullcontext(
                agent_client.AgentClient(self)
            ),
        )
