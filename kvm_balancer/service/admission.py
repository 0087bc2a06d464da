"""Whether an instance is ours to move, and within which limits of its own.

Asked of the host itself, whatever the agent believes.
"""

import collections.abc
import dataclasses
import logging

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.options import wishes
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)

_OVER = frozenset(end.value for end in states.ENDS)

#: Says where a migration stands, as the executor of its source has it: that
#: host's name and the migration's id are given. UnreachableError where that
#: does not answer, NotFound where it knows no such migration.
AskState = collections.abc.Callable[[str, str], str]


def admit(
    hypervisor: driver.Driver,
    wanted: request.Request,
    ask_state: AskState | None = None,
) -> tuple[request.Request, driver.InstanceView]:
    """Return a migration with the wishes of its instance, and what that is.

    :param ask_state: None where nobody can be asked
    :raises MigrationError: when the instance is not here, not ours to move,
        has wishes that are not understood, or is in a migration that came
        from elsewhere, and is not known to be over
    """
    try:
        view = hypervisor.view(wanted.instance)
    except errors.NotFound as error:
        raise errors.MigrationError(str(error)) from error
    if view.owner != 'balancer':
        raise errors.MigrationError(
            f'instance {view.name} is not to be moved: {view.owner_reason}'
        )
    _refuse_marked(hypervisor, wanted, view.id, ask_state)
    merged = wishes.merge(wanted.options, view.asks)
    for change in merged.changes:
        LOG.info('Migration %s: %s', wanted.migration_id, change)
    admitted = dataclasses.replace(
        wanted,
        options=merged.options,
        notes=(*wanted.notes, *merged.changes),
    )
    return admitted, view


def _refuse_marked(
    hypervisor: driver.Driver,
    wanted: request.Request,
    instance: str,
    ask_state: AskState | None,
) -> None:
    """Refuse an instance that came from elsewhere, perhaps not for good.

    As long as nobody knows how a migration ended, its instance may run on the
    source as well: moved on, it would be found neither here nor there. A mark
    that is left though its migration is over is no hindrance.
    """
    for found in hypervisor.marked():
        mark = found.mark
        if found.instance != instance or mark.source == wanted.source:
            continue
        said = f'the executor of {mark.source} is not asked'
        try:
            if ask_state is not None:
                said = ask_state(mark.source, mark.migration_id)
        except errors.KVMBalancerError as error:
            said = str(error)
        if said in _OVER:
            continue
        raise errors.MigrationError(
            f'instance {wanted.instance} came by migration '
            f'{mark.migration_id} from {mark.source}, which is not known to '
            f'be over ({said}): see kvm-balancer migrations list --unknown'
        )
