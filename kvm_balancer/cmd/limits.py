"""Means and limits of one migration, asked for on the command line."""

import argparse
import collections.abc
import dataclasses

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import arguments
from kvm_balancer.conf import migration
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.service import convergence


@dataclasses.dataclass(frozen=True, slots=True)
class _Switch:
    """Something that is on or off.

    :ivar flag: as it is typed
    """

    flag: str
    help: str

    def add(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            self.flag, action=argparse.BooleanOptionalAction, help=self.help
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Value:
    """Something that has a value.

    :ivar flag: as it is typed
    :ivar field: of :class:`.request.Options`; None for one named as the flag
    :ivar metavar: what stands for the value; None where it is one of
        *choices*
    """

    flag: str
    help: str
    field: str | None = None
    metavar: str | None = None
    parse: collections.abc.Callable[[str], float] | None = None
    choices: tuple[str, ...] | None = None

    def add(self, parser: argparse.ArgumentParser) -> None:
        named = self.flag.removeprefix('--').replace('-', '_')
        parser.add_argument(
            self.flag,
            dest=self.field or named,
            type=self.parse or str,
            metavar=self.metavar,
            choices=self.choices,
            help=self.help,
        )


_ARGUMENTS = (
    _Switch(
        '--post-copy',
        'Let the instance run on the destination before all of its '
        'memory is there, when it does not converge otherwise.',
    ),
    _Value(
        '--post-copy-patience',
        'How many times as long as one full pass and post-copy after it '
        'pre-copy may take, before post-copy is chosen where it is allowed.',
        metavar='TIMES',
        parse=arguments.factor(1000.0),
    ),
    _Switch(
        '--auto-converge',
        'Slow the instance down when it does not converge.',
    ),
    _Value(
        '--auto-converge-initial',
        'By how much it is slowed down at first, in percent of its CPU '
        "time, and by no more than --max-throttle; 0 for the hypervisor's "
        'own, 20 on QEMU.',
        field='auto_converge_initial_percent',
        metavar='PERCENT',
        parse=arguments.whole_number(0, 99),
    ),
    _Value(
        '--auto-converge-increment',
        'By how much more with each further step, made smaller to keep '
        "to --max-throttle; 0 for the hypervisor's own, 10 on QEMU.",
        field='auto_converge_increment_percent',
        metavar='PERCENT',
        parse=arguments.whole_number(0, 99),
    ),
    _Value(
        '--bandwidth',
        'Limit of the memory stream in MiB per second; 0 for none.',
        field='bandwidth_mib_s',
        metavar='MIB_S',
        parse=arguments.whole_number(0, 1000000),
    ),
    _Value(
        '--max-downtime',
        'Longest stop that the instance is allowed, in milliseconds.',
        field='max_downtime_ms',
        metavar='MS',
        parse=arguments.whole_number(1, 2000000),
    ),
    _Value(
        '--max-throttle',
        'The most the instance may be slowed down, in percent of its '
        'CPU time; 0 for not at all.',
        field='max_throttle_percent',
        metavar='PERCENT',
        parse=arguments.whole_number(0, 99),
    ),
    _Value(
        '--time-limit',
        'End it after so long, by post-copy where allowed, by a stop '
        'that fits --max-downtime, or by giving up; 0 for no limit. Time in '
        'which disks are copied does not count.',
        field='time_limit_seconds',
        metavar='SECONDS',
        parse=arguments.whole_number(0, 10000000),
    ),
    _Value(
        '--parallel-connections',
        'Streams that carry the memory; 0 or 1 for a single one.',
        metavar='N',
        parse=arguments.whole_number(0, 255),
    ),
    _Value(
        '--compression',
        'Method that compresses the stream, as xbzrle.',
        metavar='METHOD',
    ),
    _Switch(
        '--tls',
        'Encrypt the stream.',
    ),
    _Switch(
        '--copy-storage',
        'Copy disks along that are files which only the source has.',
    ),
    _Value(
        '--storage-time-limit',
        'Give up when the disks take longer; 0 for no limit.',
        field='storage_time_limit_seconds',
        metavar='SECONDS',
        parse=arguments.whole_number(0, 10000000),
    ),
    _Switch(
        '--keep-source-disks',
        'Leave what was copied on the source as well.',
    ),
    _Switch(
        '--trust-disk-paths',
        'Take block devices, and images that others are laid over, for '
        'the same ones where both hosts have them under one path and nothing '
        'says whether they are.',
    ),
    _Value(
        '--profile',
        'How much is tried before it is given up: balance, as another '
        'instance would do; drain, as it must go.',
        choices=tuple(str(one) for one in request.Profile),
    ),
    _Value(
        '--convergence',
        'Plugin that decides whether the copy converges, and what to do '
        'where it does not (default: [migration] convergence); '
        "'kvm-balancer plugins' lists them.",
        metavar='NAME',
    ),
)

#: How auto-converge goes on, by what it is asked for with.
_STEPS = {
    'auto_converge_initial_percent': '--auto-converge-initial',
    'auto_converge_increment_percent': '--auto-converge-increment',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what goes before the options of group ``[migration]``."""
    for one in _ARGUMENTS:
        one.add(parser)


def options(
    conf: cfg.ConfigOpts, asked: argparse.Namespace
) -> request.Options:
    """Return the configured options with what was asked for instead.

    :raises ConfigurationError: when it asks how to do what is not done
    """
    given = {
        field.name: value
        for field in dataclasses.fields(request.Options)
        if (value := getattr(asked, field.name, None)) is not None
    }
    if 'profile' in given:
        given['profile'] = request.Profile(given['profile'])
    settled = dataclasses.replace(migration.options(conf), **given)
    steps = [one for one in _STEPS if given.get(one)]
    if steps and not settled.auto_converge:
        raise errors.ConfigurationError(
            f'{", ".join(_STEPS[one] for one in steps)}: the instance is not '
            f'slowed down at all, as auto-converge is off; ask for '
            f'--auto-converge as well, or for none of its steps'
        )
    return settled


def load_convergence(
    conf: cfg.ConfigOpts, asked: argparse.Namespace
) -> collections.abc.Callable[[], contract.Convergence]:
    """Load the policy that was asked for, or that is configured.

    :returns: what makes one for a migration
    :raises PluginError: when there is none, or it does not load
    """
    if asked.convergence:
        return convergence.load(conf, asked.convergence)
    return convergence.configured(conf)
