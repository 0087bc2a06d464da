"""Images that an executor left on the destination when it ended.

Which it made for a migration, the mark of the instance tells: each where there
was no file before. They are removed when that migration has failed, and right
then both hosts say that the instance is on the source alone, without a job;
and of them only what no domain of the destination has as a disk.
"""

import functools

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import locks
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import transfer


def remove(
    here: connection.Connection,
    there: connection.Connection,
    instance: str,
    migration_id: str,
) -> str:
    """Remove what a migration that failed has left on the destination.

    :param instance: uuid of the domain
    :returns: what was done, or why not, for the story; empty for nothing
    """
    with locks.holding(instance):
        try:
            images = here.call(
                functools.partial(
                    _made, instance=instance, migration_id=migration_id
                )
            )
            if not images:
                return ''
            if not transfer.stayed(
                ends.look(here, instance), ends.look(there, instance)
            ):
                return (
                    f'on the destination, {", ".join(images)} may be left: '
                    "see whose it is, and delete it if it is nobody's"
                )
            used = there.call(_used)
            left = there.call(functools.partial(_existing, paths=images))
        except errors.KVMBalancerError as error:
            return f'what is left on the destination is not known: {error}'
        told = [
            f'{path} is a disk of another instance by now'
            for path in left
            if path in used
        ]
        unused = [path for path in left if path not in used]
        if unused:
            told.append(transfer.remove(there, unused))
        return f'on the destination, {"; ".join(told)}' if told else ''


def _made(
    handle: connection.Handle, instance: str, migration_id: str
) -> tuple[str, ...]:
    """Return what the migration made, as the instance tells."""
    mark = marking.read(handle.lookupByUUIDString(instance))
    if mark is None or mark.migration_id != migration_id:
        return ()
    return mark.images


def _used(handle: connection.Handle) -> frozenset[str]:
    """Return the sources of all disks that the domains of a host have."""
    return frozenset(
        one.source
        for domain in handle.listAllDomains(0)
        for one in documents.read_domain(domain.XMLDesc(0)).disks
    )


def _existing(
    handle: connection.Handle, paths: tuple[str, ...]
) -> tuple[str, ...]:
    """Return those that are there; all of a pool that is not active."""
    found = []
    for path in paths:
        pool = pools.pool(handle, pools.directory(path))
        if pool is None or pools.volume(pool, path) is not None:
            found.append(path)
    return tuple(found)
