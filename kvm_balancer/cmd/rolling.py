"""``kvm-balancer rolling``: hosts of an aggregate, one after the other.

Each host is drained, handed to a script of the operator, waited for until it
is back, and taken back; then comes the next. A host that does not come so far
stays drained, and no further one is begun.
"""

import argparse
import collections.abc
from concurrent import futures
import contextlib
import os
import pathlib
import subprocess
import threading
import time
from typing import Any
from typing import TextIO

from kvm_balancer import errors
from kvm_balancer.cmd import action
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import drain
from kvm_balancer.cmd import startup

Row = dict[str, Any]

#: What Nova says of a compute that takes no servers yet.
_DOWN = ('down', 'forced down')

#: Makes a way to the agent for the time of a block, one for each thread.
Connect = collections.abc.Callable[
    [], contextlib.AbstractContextManager[agent_client.AgentClient]
]


class Round:
    """One round over some hosts.

    :param hook: program that is run with the name of a host
    :param back_seconds: how long a host is waited for after it
    :param tell: takes a line for people
    """

    def __init__(
        self,
        connect: Connect,
        hook: str,
        back_seconds: float,
        tell: collections.abc.Callable[[str], None],
        pause: collections.abc.Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._hook = hook
        self._back_seconds = back_seconds
        self._tell = tell
        self._pause = pause
        self._lock = threading.Lock()
        self._failed = threading.Event()
        self.done: list[str] = []
        self.failed: dict[str, str] = {}

    def run(self, hosts: collections.abc.Iterable[str], at_once: int) -> None:
        """Go over *hosts*, at most so many at a time."""
        with futures.ThreadPoolExecutor(at_once) as threads:
            list(threads.map(self._host, hosts))

    def _host(self, host: str) -> None:
        if self._failed.is_set():
            return
        trouble = ''
        try:
            with self._connect() as agent:
                self._take(agent, host)
        except errors.KVMBalancerError as error:
            trouble = str(error)
        with self._lock:
            if trouble:
                self._failed.set()
                self.failed[host] = trouble
                self._tell(f'{host}: {trouble}; it stays drained')
            else:
                self.done.append(host)
                self._tell(f'{host}: done')

    def _take(self, agent: agent_client.AgentClient, host: str) -> None:
        self._tell(f'{host}: drained')
        drain.patiently(
            lambda: agent.drain(host, 'rolling maintenance'),
            pause=self._pause,
        )
        row = drain.wait(agent, host, 0.0, lambda *_: None, pause=self._pause)
        if row['state'] != 'drained':
            if row['doubt']:
                raise errors.MigrationError(
                    f'nobody can say that it is empty: {row["doubt"]}'
                )
            lines = '; '.join(line.strip() for line in drain.leftovers(row))
            raise errors.MigrationError(f'not all would move: {lines}')
        resting = len(row['resting'])
        stay = f', but {resting} that do not run' if resting else ''
        self._tell(f'{host}: empty{stay}; {self._hook} is run')
        self._run_hook(host)
        self._await(agent, host)
        self._take_back(agent, host)

    def _take_back(self, agent: agent_client.AgentClient, host: str) -> None:
        try:
            note = agent.undrain(host)['note']
        except errors.UnreachableError:
            self._pause(drain.POLL_SECONDS)
            try:
                note = drain.patiently(
                    lambda: agent.undrain(host), pause=self._pause
                )['note']
            except errors.NotFound:
                # The answer to the first was lost.
                note = ''
        if note:
            self._tell(f'{host}: {note}')

    def _run_hook(self, host: str) -> None:
        try:
            ran = subprocess.run(
                [self._hook, host],
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            raise errors.ConfigurationError(
                f'{self._hook} cannot be run: {error.strerror}'
            ) from error
        if ran.returncode:
            raise errors.MigrationError(
                f'{self._hook} ended with {ran.returncode}'
            )

    def _await(self, agent: agent_client.AgentClient, host: str) -> None:
        """Wait until a host reports again, after the hook has run.

        Where it is a compute of Nova, its service has to be up, too.
        """
        deadline = time.monotonic() + self._back_seconds
        hook_ended = time.monotonic()
        down = False
        while time.monotonic() < deadline:
            for row in drain.patiently(agent.hosts, pause=self._pause):
                waited = time.monotonic() - hook_ended
                if (
                    row['name'] == host
                    and not row['silent']
                    and row['sample_age_seconds'] < waited
                ):
                    down = row['nova'] in _DOWN
                    if not down:
                        return
            self._pause(drain.POLL_SECONDS)
        raise errors.UnreachableError(
            f'it did not report within {self._back_seconds:g} s'
            + (', or its nova-compute is not up' if down else '')
        )


class Rolling(action.Action):
    """Drain the hosts of an aggregate in turn, and run a script for each.

    For upgrades of kernels, say: the script gets the name of the empty host,
    does what is to be done, and ends when that is done. Then the host has to
    report again before it takes instances, and the next is drained.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('aggregate', metavar='AGGREGATE', help='Its name.')
        parser.add_argument(
            '--hook',
            required=True,
            metavar='PROGRAM',
            help='Run for each host once it is empty, with its name.',
        )
        parser.add_argument(
            '--at-once',
            type=arguments.whole_number(1, 1_000_000),
            default=1,
            metavar='N',
            help='At most so many hosts at a time (default: %(default)s).',
        )
        parser.add_argument(
            '--back-within',
            type=arguments.amount,
            default=1800.0,
            metavar='SECONDS',
            help='How long a host is waited for (default: %(default)g).',
        )

    def act(self, parsed_args: argparse.Namespace) -> Row:
        if not os.access(parsed_args.hook, os.X_OK):
            raise errors.ConfigurationError(
                f'--hook {parsed_args.hook} is no program that can be run'
            )
        stream: TextIO = self.progress_stream(parsed_args)
        with agent_client.connected(self.app.conf) as agent:
            members = agent.members(parsed_args.aggregate)
        hosts = [str(one['host']) for one in members]
        silent = [str(one['host']) for one in members if one['silent']]
        if silent:
            raise errors.ConfigurationError(
                f'{", ".join(silent)} of {parsed_args.aggregate} do not '
                'report: see to them, or take them out of it; nothing was '
                'begun'
            )
        going = Round(
            lambda: agent_client.connected(self.app.conf),
            str(pathlib.Path(parsed_args.hook).resolve()),
            parsed_args.back_within,
            lambda line: print(line, file=stream, flush=True),
        )
        going.run(hosts, parsed_args.at_once)
        if going.failed:
            self.exit_code = startup.EXIT_FAILURE
        seen = {*going.done, *going.failed}
        return {
            'aggregate': parsed_args.aggregate,
            'done': going.done,
            'failed': going.failed,
            'not_begun': [host for host in hosts if host not in seen],
        }
