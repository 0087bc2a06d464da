"""Bring the laboratory up by hand: python -m tests.openstack.lab up DIR."""

import argparse
import pathlib
import sys
import time

from kvm_balancer import errors
from tests.openstack.lab import cloud
from tests.openstack.lab import configuration


def _up(directory: pathlib.Path, hosts: int, guests: str) -> None:
    names = tuple(f'cmp{number + 1}' for number in range(hosts))
    lab = cloud.NovaLab(
        directory,
        configuration.Options(
            hosts=names, guests=configuration.Guests(guests)
        ),
    )
    began = time.monotonic()
    lab.up()
    print(f'{", ".join(names)} are up after {time.monotonic() - began:.0f} s')
    print(f'Keystone: {lab.files.auth_url}, admin, {configuration.PASSWORD}')
    print(f'Broker: {lab.broker.url}')


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('command', choices=('up', 'down'))
    parser.add_argument('directory', type=pathlib.Path)
    parser.add_argument('--hosts', type=int, default=3)
    parser.add_argument(
        '--guests',
        choices=[str(one) for one in configuration.Guests],
        default=str(configuration.Guests.RECORDS),
    )
    given = parser.parse_args()
    directory = given.directory.absolute()
    try:
        if given.command == 'up':
            _up(directory, given.hosts, given.guests)
        else:
            cloud.NovaLab(directory).down()
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(_main())
