"""Means and limits of one migration, asked for on the command line."""

import argparse
import collections.abc
import dataclasses

from oslo_config import cfg

from kvm_balancer.cmd import arguments
from kvm_balancer.conf import migration
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.service import convergence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what goes before the options of group ``[migration]``."""
    parser.add_argument(
        '--post-copy',
        action=argparse.BooleanOptionalAction,
        help='Let the instance run on the destination before all of its '
        'memory is there, when it does not converge otherwise.',
    )
    parser.add_argument(
        '--post-copy-patience',
        type=arguments.factor(1000.0),
        metavar='TIMES',
        help='How many times as long as one full pass and post-copy after it '
        'pre-copy may take, before post-copy is chosen where it is allowed.',
    )
    parser.add_argument(
        '--auto-converge',
        action=argparse.BooleanOptionalAction,
        help='Slow the instance down when it does not converge.',
    )
    parser.add_argument(
        '--auto-converge-initial',
        dest='auto_converge_initial_percent',
        type=arguments.whole_number(0, 99),
        metavar='PERCENT',
        help='By how much it is slowed down at first, in percent of its CPU '
        "time, and by no more than --max-throttle; 0 for the hypervisor's "
        'own, 20 on QEMU.',
    )
    parser.add_argument(
        '--auto-converge-increment',
        dest='auto_converge_increment_percent',
        type=arguments.whole_number(0, 99),
        metavar='PERCENT',
        help='By how much more with each further step, made smaller to keep '
        "to --max-throttle; 0 for the hypervisor's own, 10 on QEMU.",
    )
    parser.add_argument(
        '--bandwidth',
        dest='bandwidth_mib_s',
        type=arguments.whole_number(0, 1_000_000),
        metavar='MIB_S',
        help='Limit of the memory stream in MiB per second; 0 for none.',
    )
    parser.add_argument(
        '--max-downtime',
        dest='max_downtime_ms',
        type=arguments.whole_number(1, 2_000_000),
        metavar='MS',
        help='Longest stop that the instance is allowed, in milliseconds.',
    )
    parser.add_argument(
        '--max-throttle',
        dest='max_throttle_percent',
        type=arguments.whole_number(0, 99),
        metavar='PERCENT',
        help='The most the instance may be slowed down, in percent of its '
        'CPU time; 0 for not at all.',
    )
    parser.add_argument(
        '--time-limit',
        dest='time_limit_seconds',
        type=arguments.whole_number(0, 10_000_000),
        metavar='SECONDS',
        help='End it after so long, by post-copy where allowed, by a stop '
        'that fits --max-downtime, or by giving up; 0 for no limit. Time in '
        'which disks are copied does not count.',
    )
    parser.add_argument(
        '--parallel-connections',
        type=arguments.whole_number(0, 255),
        metavar='N',
        help='Streams that carry the memory; 0 or 1 for a single one.',
    )
    parser.add_argument(
        '--compression',
        metavar='METHOD',
        help='Method that compresses the stream, as xbzrle.',
    )
    parser.add_argument(
        '--tls',
        action=argparse.BooleanOptionalAction,
        help='Encrypt the stream.',
    )
    parser.add_argument(
        '--copy-storage',
        action=argparse.BooleanOptionalAction,
        help='Copy disks along that are files which only the source has.',
    )
    parser.add_argument(
        '--storage-time-limit',
        dest='storage_time_limit_seconds',
        type=arguments.whole_number(0, 10_000_000),
        metavar='SECONDS',
        help='Give up when the disks take longer; 0 for no limit.',
    )
    parser.add_argument(
        '--keep-source-disks',
        action=argparse.BooleanOptionalAction,
        help='Leave what was copied on the source as well.',
    )
    parser.add_argument(
        '--profile',
        choices=tuple(str(one) for one in request.Profile),
        help='How much is tried before it is given up: balance, as another '
        'instance would do; drain, as it must go.',
    )
    parser.add_argument(
        '--convergence',
        metavar='NAME',
        help='Plugin that decides whether the copy converges, and what to do '
        'where it does not (default: [migration] convergence); '
        "'kvm-balancer plugins' lists them.",
    )


def options(
    conf: cfg.ConfigOpts, asked: argparse.Namespace
) -> request.Options:
    """Return the configured options with what was asked for instead."""
    given = {
        field.name: value
        for field in dataclasses.fields(request.Options)
        if (value := getattr(asked, field.name, None)) is not None
    }
    if 'profile' in given:
        given['profile'] = request.Profile(given['profile'])
    return dataclasses.replace(migration.options(conf), **given)


def load_convergence(
    conf: cfg.ConfigOpts, asked: argparse.Namespace
) -> collections.abc.Callable[[], contract.Convergence]:
    """Load the policy that was asked for, or that is configured.

    :returns: what makes one for a migration
    :raises PluginError: when there is none, or it does not load
    """
    return convergence.load(
        conf, asked.convergence or conf[migration.GROUP].convergence
    )
