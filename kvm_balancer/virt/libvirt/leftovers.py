"""Images that a migration which failed has left on the destination.

Which an earlier run of the executor made, the mark of the instance tells: each
where there was no file before; and which it was about to make, of which those
are its own that are empty. They are removed when right then both hosts say
that the instance is on the source alone, without a job, or has ended there and
was never stopped to go; and of them only what no domain of the destination has
as a disk. Where the instance ran on the destination, none goes; nor, once it
was stopped to go, that of an instance without a definition that stays: had it
run there unseen and ended, nothing else would tell of it any more.
"""

import dataclasses
import functools

from kvm_balancer import errors
from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import locks
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import pools
from kvm_balancer.virt.libvirt import transfer

#: What the header of an image without content takes, at most.
_EMPTY_BYTES = 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A migration that failed.

    :ivar instance: uuid of the domain
    :ivar made: images that this run made; empty where the mark is to tell
    :ivar never_left: the instance was never stopped on the source
    :ivar ran_there: the instance ran on the destination
    """

    instance: str
    migration_id: str
    made: tuple[str, ...] = ()
    never_left: bool = False
    ran_there: bool = False


def remove(
    here: connection.Connection, there: connection.Connection, failed: Failed
) -> str:
    """Remove what a migration that failed has left on the destination.

    :returns: what was done, or why not, for the story; empty for nothing
    """
    instance = failed.instance
    with locks.holding(instance):
        try:
            made, planned = failed.made, tuple[str, ...]()
            if not made:
                mark = here.call(functools.partial(_mark, failed=failed))
                made, planned = mark.images, mark.planned
            images = (*made, *planned)
            if not images:
                return ''
            seen = ends.look(here, instance), ends.look(there, instance)
            if failed.never_left:
                removable = transfer.stayed(*seen) or transfer.ended(*seen)
            else:
                removable = transfer.stayed(*seen) and here.call(
                    functools.partial(would_tell, instance=instance)
                )
            if failed.ran_there or not removable:
                return (
                    f'on the destination, {", ".join(images)} may be left: '
                    f'{_advice(failed)}'
                )
            used = there.call(_used)
            left = there.call(
                functools.partial(existing, made=made, planned=planned)
            )
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


def would_tell(handle: connection.Handle, instance: str) -> bool:
    """Say whether an instance leaves a definition wherever it has run.

    libvirt defines on the destination, before it starts it there, what is
    defined on the source.
    """
    return bool(handle.lookupByUUIDString(instance).isPersistent())


def _advice(failed: Failed) -> str:
    """Say what a person is to do about images that stay.

    Never to delete what may be the only one that has the last writes.
    """
    if failed.ran_there:
        return 'the instance ran there, keep what may be its latest disks'
    if failed.never_left:
        return "see whose it is, and delete it if it is nobody's"
    return 'it may be the latest disk of the instance, see that first'


def _mark(handle: connection.Handle, failed: Failed) -> marks.Mark:
    """Return the mark of the migration; one that tells nothing for none."""
    mark = marking.read(handle.lookupByUUIDString(failed.instance))
    if mark is None or mark.migration_id != failed.migration_id:
        return marks.Mark(failed.migration_id, '', '', '')
    return mark


def _used(handle: connection.Handle) -> frozenset[str]:
    """Return the sources of all disks that the domains of a host have."""
    return frozenset(
        one.source
        for domain in handle.listAllDomains(0)
        for one in documents.read_domain(domain.XMLDesc(0)).disks
    )


def existing(
    handle: connection.Handle,
    made: tuple[str, ...],
    planned: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return those that are there; all that were made of a missing pool."""
    found = []
    for path in (*made, *planned):
        pool = pools.pool(handle, pools.directory(path))
        image = None if pool is None else pools.volume(pool, path)
        if path in made:
            is_left = pool is None or image is not None
        else:
            is_left = (
                image is not None and pools.stored_bytes(image) <= _EMPTY_BYTES
            )
        if is_left:
            found.append(path)
    return tuple(found)
