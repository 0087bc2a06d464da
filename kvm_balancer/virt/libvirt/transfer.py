"""The disks that one migration copies, from empty images to what is left.

Their images are made on the destination right before the migration starts,
each where there was no file before; so what is removed after a migration
that failed is this one's own. That they are about to be made is written down
first: whoever is killed in between leaves nothing that nobody knows of. The
source's images are kept when it has succeeded, unless the operator wants them
removed.
"""

import collections.abc
import functools
import logging

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import image_room
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures
from kvm_balancer.virt.libvirt import images
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import pools

LOG = logging.getLogger(__name__)

_HERE = (events.EndState.RUNNING, events.EndState.PAUSED)
_GONE = (events.EndState.ABSENT, events.EndState.SHUT_OFF)


class Transfer:
    """What becomes of the disks of one migration.

    :param copies: that pre-flight found
    :param keep: the source's images are kept after success
    """

    def __init__(
        self, copies: collections.abc.Sequence[images.Copy], keep: bool
    ) -> None:
        self._copies = tuple(copies)
        self._keep = keep
        self._made: list[str] = []
        #: images about to be made, by their paths
        self.planned: tuple[str, ...] = ()
        self._succeeded: bool | None = None
        #: nothing is left to be done
        self.settled = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Disks that libvirt is to copy, by their names in the guest."""
        return tuple(one.target for one in self._copies)

    @property
    def sizes_mib(self) -> tuple[float, ...]:
        """How large the image of each of them is."""
        return tuple(
            (
                one.capacity_bytes
                if one.format == 'raw'
                else one.allocated_bytes
            )
            / 2**20
            for one in self._copies
        )

    @property
    def needs(self) -> tuple[image_room.Need, ...]:
        """What they need on the destination, by directory."""
        found: dict[str, float] = {}
        for one in self._copies:
            place = pools.directory(one.path)
            mib = one.allocated_bytes / 2**20
            found[place] = found.get(place, 0.0) + mib
        return tuple(
            image_room.Need(place, mib) for place, mib in found.items()
        )

    @property
    def made(self) -> tuple[str, ...]:
        """Images that were made on the destination, by their paths."""
        return tuple(self._made)

    @property
    def flag(self) -> int:
        """What libvirt copies of them, as a flag; 0 where there is none."""
        if not self._copies:
            return 0
        over = any(one.backing is not None for one in self._copies)
        return jobs.TOP_OF_DISKS if over else jobs.ALL_OF_DISKS

    def prepare(
        self,
        there: connection.Connection,
        write_down: collections.abc.Callable[[], None],
    ) -> None:
        """Make the images on the destination.

        :param write_down: which are planned and made
        :raises MigrationError: when one cannot be made; none is left then
        :raises KVMBalancerError: when that cannot be written down; none was
            made then
        """
        if not self._copies:
            return
        self.planned = tuple(one.path for one in self._copies)
        write_down()
        for one in self._copies:
            try:
                there.call(functools.partial(_create, one=one))
            except errors.KVMBalancerError as error:
                remove(there, self._made)
                self._made, self.planned = [], ()
                # What was in the way is not this migration's.
                write_down()
                raise errors.MigrationError(
                    f'no image for {one.target} could be made on the '
                    f'destination: {error}'
                ) from error
            self._made.append(one.path)
        self.planned = ()

    def returned(self, error: str) -> None:
        """Take note that the call is over.

        :param error: empty for success
        """
        self._succeeded = not error

    def settle(
        self,
        source: events.End,
        destination: events.End,
        here: connection.Connection,
        there: connection.Connection,
        ran_there: bool = False,
    ) -> str:
        """Remove what is left over, once both ends say what that is.

        :param ran_there: the instance ran on the destination: its images
            there may have what the source's lack, wherever it is now
        :returns: what was done, for the story; empty for nothing
        """
        if self.settled or not self._made or self._succeeded is None:
            return ''
        over = moved(source, destination)
        back = (
            stayed(source, destination)
            and not self._succeeded
            and not ran_there
        )
        if not (over or back):
            return ''
        self.settled = True
        paths = list(self._made)
        if back:
            return f'on the destination, {remove(there, paths)}'
        if self._keep or not self._succeeded:
            return left(paths)
        return f'on the source, {remove(here, paths)}'


def left(paths: collections.abc.Iterable[str]) -> str:
    """Say that images of the source stay, of an instance that was moved."""
    return (
        f'on the source, {", ".join(paths)} is left as it was at the switch: '
        'delete it when it is not needed any more'
    )


def remove(
    link: connection.Connection, paths: collections.abc.Iterable[str]
) -> str:
    """Remove images; return, in words, which went and which could not."""
    removed, left = [], []
    for path in paths:
        try:
            link.call(functools.partial(pools.delete, path=path))
        except errors.KVMBalancerError as error:
            LOG.warning('%s cannot be removed: %s', path, error)
            left.append(f'{path} could not be removed: {error}')
        else:
            removed.append(path)
    said = [f'{", ".join(removed)} was removed'] if removed else []
    return '; '.join((*said, *left))


def stayed(source: events.End, destination: events.End) -> bool:
    """Say whether the instance is on the source alone, and nothing moves."""
    return (
        source.state in _HERE
        and not source.job_active
        and destination.state is events.EndState.ABSENT
    )


def ended(source: events.End, destination: events.End) -> bool:
    """Say whether the instance is shut off on the source, and only there."""
    return (
        source.state is events.EndState.SHUT_OFF
        and not source.job_active
        and destination.state is events.EndState.ABSENT
    )


def moved(source: events.End, destination: events.End) -> bool:
    """Say whether the instance is on the destination, and nowhere else."""
    return source.state in _GONE and destination.state in _HERE


def _create(handle: connection.Handle, one: images.Copy) -> None:
    found = pools.pool(handle, pools.directory(one.path))
    if found is None:
        raise failures.Refused(
            f'the destination has no active storage pool for {one.path}',
            libvirt.VIR_ERR_NO_STORAGE_POOL,
            libvirt.VIR_FROM_STORAGE,
        )
    pools.create(found, one.path, one.format, one.capacity_bytes, one.backing)
