"""Whether an instance is ours to move, and within which limits of its own.

Asked of the host itself, whatever the agent believes.
"""

import dataclasses
import logging

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.options import wishes
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)


def admit(
    hypervisor: driver.Driver, wanted: request.Request
) -> tuple[request.Request, driver.InstanceView]:
    """Return a migration with the wishes of its instance, and what that is.

    :raises MigrationError: when the instance is not here, not ours to move,
        or has wishes that are not understood
    """
    try:
        view = hypervisor.view(wanted.instance)
    except errors.NotFound as error:
        raise errors.MigrationError(str(error)) from error
    if view.owner != 'balancer':
        raise errors.MigrationError(
            f'instance {view.name} is not to be moved: {view.owner_reason}'
        )
    merged = wishes.merge(wanted.options, view.asks)
    for change in merged.changes:
        LOG.info('Migration %s: %s', wanted.migration_id, change)
    admitted = dataclasses.replace(
        wanted,
        options=merged.options,
        notes=(*wanted.notes, *merged.changes),
    )
    return admitted, view
