"""What the checks before a migration find, as a table."""

import argparse
import collections.abc
import queue
import shutil
import textwrap
from typing import Any
from typing import TextIO

from cliff.formatters import base

from kvm_balancer import errors
from kvm_balancer.cmd import migration_wording as wording
from kvm_balancer.cmd import startup
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import plan
from kvm_balancer.virt import driver

#: Longer than a host that does not answer is waited for.
_PATIENCE_SECONDS = 120.0

_PREDICTION = 'prediction'
_KEYS = ('check', 'verdict', 'reason', 'remedy')
_TITLES = ('Check', 'Verdict', 'Reason', 'Remedy')
_WORDS = {
    events.Verdict.PASSED: 'passed',
    events.Verdict.FAILED: 'failed',
    events.Verdict.UNKNOWN: 'could not tell',
    events.Verdict.FORGONE: 'goes without',
}
#: What the frame, the names and the verdicts leave to the long columns.
_MARGIN = 42
_LEAST_WIDTH = 24


def look(
    hypervisor: driver.Driver, wanted: request.Request
) -> tuple[events.Check, ...]:
    """Ask both ends all there is to ask; nothing is touched.

    :raises MigrationError: when the checks could not be made
    """
    told: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
    carrier = hypervisor.carrier(wanted, told.put)
    try:
        carrier.perform(instructions.Check())
        event = told.get(timeout=_PATIENCE_SECONDS)
    except queue.Empty:
        raise errors.MigrationError(
            f'the checks were not over after {_PATIENCE_SECONDS:g} s; see to '
            'libvirt on both hosts'
        ) from None
    finally:
        carrier.close()
    match event:
        case events.Checked(checks=found):
            return found
        case events.Refused(text=text):
            raise errors.MigrationError(
                f'the checks could not be made: {text}'
            )
    raise errors.MigrationError(
        f'the checks were answered by {type(event).__name__}'
    )


def no_source(error: errors.KVMBalancerError) -> events.Check:
    """Return the check that fails where there is nothing to look at."""
    return events.Check(
        'source',
        events.Verdict.FAILED,
        str(error),
        'see where the instance is: kvm-balancer instances'
        if isinstance(error, errors.NotFound)
        else 'see to libvirtd there, and to the way to it from here',
    )


def read_wishes(
    options: request.Options, told: wishes.Wishes
) -> tuple[request.Options, tuple[events.Check, ...]]:
    """Return the options with an instance's wishes, and a check of these."""
    try:
        merged = wishes.merge(options, told)
    except errors.MigrationError as error:
        remedy = 'correct it: virsh metadata'
        failed = events.Verdict.FAILED
        return options, (events.Check('metadata', failed, str(error), remedy),)
    changes = '; '.join(merged.changes)
    passed = events.Verdict.PASSED
    return merged.options, (events.Check('metadata', passed, changes),)


def foresee(
    predicted: plan.Prediction, measured: bool, disks: str
) -> events.Check:
    """Return what is to be expected, as a check; it never fails.

    :param measured: it is known how the instance writes
    :param disks: what is to be expected of disks; empty for nothing
    """
    said = f'predicted: {wording.prediction(predicted)}{disks}'
    if predicted.converges is False:
        return events.Check(
            _PREDICTION,
            events.Verdict.UNKNOWN,
            said,
            'allow it post-copy, more throttle, or a longer downtime',
        )
    if not measured:
        return events.Check(
            _PREDICTION,
            events.Verdict.UNKNOWN,
            f'{said}, if it writes nothing; how it writes is not known',
            'have it measured: --measure 21',
        )
    return events.Check(_PREDICTION, events.Verdict.PASSED, said)


def exit_code(found: collections.abc.Iterable[events.Check]) -> int:
    """Return what the command ends with."""
    failed = any(one.verdict is events.Verdict.FAILED for one in found)
    return startup.EXIT_FAILURE if failed else 0


def arranged(
    found: collections.abc.Iterable[events.Check], formatter: str
) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns, and a row for every check."""
    rows = [
        [one.name, str(one.verdict), one.reason, one.remedy] for one in found
    ]
    if formatter != 'table':
        return list(_KEYS), rows
    width = max(
        (shutil.get_terminal_size().columns - _MARGIN) // 2, _LEAST_WIDTH
    )
    return list(_TITLES), [
        [
            name,
            _WORDS[events.Verdict(verdict)],
            textwrap.fill(reason, width),
            textwrap.fill(remedy, width),
        ]
        for name, verdict, reason, remedy in rows
    ]


def emit(
    formatter: object,
    names: list[str],
    rows: list[list[Any]],
    stream: TextIO,
    parsed_args: argparse.Namespace,
) -> None:
    """Write the rows in the format that was asked for.

    :raises ConfigurationError: when it has no rows, as that for shells
    """
    if not isinstance(formatter, base.ListFormatter):
        raise errors.ConfigurationError(
            f'there is no list of checks in the format '
            f'{parsed_args.formatter}; use table, json, yaml or value'
        )
    formatter.emit_list(names, rows, stream, parsed_args)
