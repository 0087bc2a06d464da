"""Bring the laboratory up by hand: python -m tests.openstack.lab up DIR."""

import argparse
import os
import pathlib
import signal
import sys

from kvm_balancer import errors
from kvm_balancer.cmd import arguments
from kvm_balancer.lab import processes
from tests.openstack.lab import cloud
from tests.openstack.lab import configuration

_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _up(directory: pathlib.Path, hosts: int, guests: str) -> int:
    names = tuple(f'cmp{number + 1}' for number in range(hosts))
    options = configuration.Options(
        hosts=names, guests=configuration.Guests(guests)
    )
    lab = cloud.NovaLab(directory, options, _say)
    lab.claim()
    # Whatever programs start of their own is found by it too.
    os.environ[processes.MARK] = str(directory)
    try:
        lab.make()
    except KeyboardInterrupt:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        _say('interrupted: taking down what was made')
        lab.down()
        _say(f'nothing is left in {directory}')
        return _INTERRUPTED
    except errors.LabError as error:
        raise errors.LabError(
            f'{error}; what was made stays, for you to look into its logs: '
            f'take it down then'
        ) from error
    _say(f'Keystone: {lab.files.auth_url}, admin, {configuration.PASSWORD}')
    _say(f'Broker: {lab.broker.url}')
    return 0


def _down(directory: pathlib.Path) -> int:
    cloud.NovaLab.find(directory).down()
    _say(f'nothing is left in {directory}')
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.openstack.lab', description=__doc__
    )
    parser.add_argument('command', choices=('up', 'down'))
    parser.add_argument('directory', type=pathlib.Path)
    parser.add_argument(
        '--hosts', type=arguments.whole_number(1, 20), default=3
    )
    parser.add_argument(
        '--guests',
        choices=[str(one) for one in configuration.Guests],
        default=str(configuration.Guests.RECORDS),
    )
    given = parser.parse_args()
    directory = given.directory.absolute()
    # In the background, a shell has the first of them ignored.
    for one in _SIGNALS:
        signal.signal(one, signal.default_int_handler)
    try:
        if given.command == 'up':
            return _up(directory, given.hosts, given.guests)
        return _down(directory)
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return _INTERRUPTED


if __name__ == '__main__':
    sys.exit(_main())
