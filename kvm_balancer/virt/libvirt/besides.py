"""What a carrier sees to besides the memory: disks, and the network's word.

Neither is decided by the machine of the migration; it is told what was done,
for the story.
"""

import collections.abc
import contextlib
import functools
import logging

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import announcing
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import leases
from kvm_balancer.virt.libvirt import leftovers
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import locks
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import preflight
from kvm_balancer.virt.libvirt import transfer

LOG = logging.getLogger(__name__)

#: Takes what caused it, and what was done or seen.
Note = collections.abc.Callable[[str, str], None]


class Besides:
    """The disks and network cards of one migration.

    :param instance: uuid of the domain
    :param migration_id: by which its mark is told from others
    :param wait: sleeps for so many seconds; True where nobody waits any more
    :param repeat: announce the guest once more where the network has not
        heard of its new place
    :param note: takes what belongs into the story
    """

    def __init__(
        self,
        instance: str,
        migration_id: str,
        links: lines.Lines,
        wait: collections.abc.Callable[[float], bool],
        repeat: bool,
        note: Note,
    ) -> None:
        self._instance = instance
        self._migration_id = migration_id
        self._links = links
        self._wait = wait
        self._repeat = repeat
        self._note = note
        #: None where pre-flight was another run's
        self._cards: announcing.Cards | None = None
        self.disks = transfer.Transfer((), keep=True)

    def take(self, found: preflight.Findings, keep_disks: bool) -> None:
        """Take in what pre-flight has found."""
        self.disks = transfer.Transfer(found.copies, keep_disks)
        self._cards = found.cards

    @property
    def cards(self) -> tuple[marks.Card, ...]:
        """Where the network cards were before, for the mark."""
        if self._cards is None:
            return ()
        return tuple(
            marks.Card(bridge, mac, port)
            for (bridge, mac), port in self._cards.ports.items()
        )

    def make_images(self, mark: collections.abc.Callable[[], None]) -> None:
        """Make images on the destination for the disks that are copied.

        :param mark: writes the mark of the instance anew
        :raises KVMBalancerError: when they cannot be made
        """
        self.disks.prepare(self._links.destination, mark)

    def see_to(
        self, source: events.End, destination: events.End, ran_there: bool
    ) -> None:
        """Do what has to be done, now that both ends were looked at.

        :param ran_there: the instance ran on the destination before
        """
        if transfer.moved(source, destination):
            self.confirm_place()
        if self.disks.made and not self.disks.settled:
            self._see_to_disks(source, destination, ran_there)

    def _see_to_disks(
        self, source: events.End, destination: events.End, ran_there: bool
    ) -> None:
        """Remove what is left of disks, once two looks say the same.

        The second under the lock, as with all that cannot be undone.
        """
        here, there = self._links.source, self._links.destination
        with locks.holding(self._instance):
            seen = (
                ends.look(here, self._instance),
                ends.look(there, self._instance),
            )
            if seen != (source, destination):
                return
            if transfer.stayed(*seen) and not self._would_tell():
                # The end of it, which knows whether it ever left, sees to
                # them.
                return
            told = self.disks.settle(*seen, here, there, ran_there)
        if told:
            self._note('the disks', told)

    def _would_tell(self) -> bool:
        """Say whether a definition would tell of it wherever it has run."""
        work = functools.partial(leftovers.would_tell, instance=self._instance)
        try:
            return self._links.source.call(work)
        except errors.KVMBalancerError as error:
            LOG.warning('Images stay for now: %s', error)
            return False

    def clean(self, never_left: bool, ran_there: bool) -> None:
        """Remove images that are left of this migration, if it stayed.

        Those of this run are seen to while its ends are looked at, unless
        the instance has ended.

        :param never_left: it was never stopped on the source
        :param ran_there: it ran on the destination
        """
        if self.disks.settled:
            return
        told = leftovers.remove(
            self._links.source,
            self._links.destination,
            leftovers.Failed(
                self._instance,
                self._migration_id,
                self.disks.made,
                never_left,
                ran_there,
            ),
        )
        if told:
            self._note('the disks', told)

    def see_locks(self) -> None:
        """Tell of locks that the instance, which stayed, has lost.

        Of use on the source host itself alone.
        """

        def look(handle: connection.Handle) -> tuple[str, ...]:
            domain = handle.lookupByUUIDString(self._instance)
            if ends.read_end(domain).state is not events.EndState.RUNNING:
                return ()
            facts = documents.read_domain(domain.XMLDesc(0))
            return leases.given_up(facts)

        lost: tuple[str, ...] = ()
        with contextlib.suppress(errors.KVMBalancerError):
            lost = self._links.source.ask(look)
        if lost:
            self._note(
                'the locks',
                f'virtlockd does not hold {", ".join(lost)} any more: libvirt '
                'gave it up when the instance was stopped to go, and did not '
                'take it back; let it do so by virsh suspend and virsh resume',
            )

    def confirm_place(self) -> None:
        """See, once, that the network knows where the guest is now."""
        try:
            cards = self._cards
            if cards is None:
                mark = self._mark()
                cards = announcing.Cards(
                    {(one.bridge, one.mac): one.port for one in mark.cards}
                )
                self._tell_of_source(mark.images)
            self._cards = announcing.Cards()
            told = announcing.confirm(
                cards,
                self._links.destination,
                self._instance,
                self._wait,
                self._repeat,
            )
        except errors.KVMBalancerError as error:
            # The next look asks again for what the mark tells.
            LOG.warning('Where the guest is now is not confirmed: %s', error)
            return
        except Exception as error:
            # The lane that this is in must outlive a defect.
            LOG.exception('Where the guest is now could not be confirmed')
            told = f'internal error: {error}'
        if told:
            self._note('the announcement', told)

    def _tell_of_source(self, images: tuple[str, ...]) -> None:
        """Name what an earlier run has left on the source, if it is there."""
        if not images:
            return
        try:
            left = self._links.source.call(
                functools.partial(leftovers.existing, made=images)
            )
        except errors.KVMBalancerError as error:
            # It was asked for the domain just before.
            LOG.warning('What is left on the source is not known: %s', error)
            left = images
        if left:
            self._note('the disks', transfer.left(left))

    def _mark(self) -> marks.Mark:
        """Return what an earlier run has noted; of none, nothing."""

        def read(handle: connection.Handle) -> marks.Mark | None:
            return marking.read(handle.lookupByUUIDString(self._instance))

        mark = self._links.destination.call(read)
        if mark is None or mark.migration_id != self._migration_id:
            return marks.Mark(self._migration_id, '', '', '')
        return mark
