"""What a carrier sees to besides the memory: disks, and the network's word.

Neither is decided by the machine of the migration; it is told what was done,
for the story.
"""

import collections.abc
import logging

from kvm_balancer.migration import events
from kvm_balancer.virt.libvirt import announcing
from kvm_balancer.virt.libvirt import leftovers
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import preflight
from kvm_balancer.virt.libvirt import transfer

LOG = logging.getLogger(__name__)

#: Takes what caused it, and what was done or seen.
Note = collections.abc.Callable[[str, str], None]


class Besides:
    """The disks and network cards of one migration.

    :param instance: uuid of the domain
    :param wait: sleeps for so many seconds; True where nobody waits any more
    :param repeat: announce the guest once more where the network has not
        heard of its new place
    :param note: takes what belongs into the story
    """

    def __init__(
        self,
        instance: str,
        links: lines.Lines,
        wait: collections.abc.Callable[[float], bool],
        repeat: bool,
        note: Note,
    ) -> None:
        self._instance = instance
        self._links = links
        self._wait = wait
        self._repeat = repeat
        self._note = note
        self._cards = announcing.Cards()
        self.disks = transfer.Transfer((), keep=True)

    def take(self, found: preflight.Findings, keep_disks: bool) -> None:
        """Take in what pre-flight has found."""
        self.disks = transfer.Transfer(found.copies, keep_disks)
        self._cards = found.cards

    def make_images(self) -> None:
        """Make images on the destination for the disks that are copied.

        :raises MigrationError: when they cannot be made
        """
        self.disks.prepare(self._links.destination)

    def see_to(self, source: events.End, destination: events.End) -> None:
        """Do what has to be done, now that both ends were looked at."""
        if transfer.moved(source, destination):
            self.confirm_place()
        told = self.disks.settle(
            source, destination, self._links.source, self._links.destination
        )
        if told:
            self._note('the disks', told)

    def clean(self, migration_id: str) -> None:
        """Remove images of an earlier run of this migration, if it stayed.

        Those of this run are seen to while its ends are looked at.
        """
        if self.disks.made:
            return
        told = leftovers.remove(
            self._links.source,
            self._links.destination,
            self._instance,
            migration_id,
        )
        if told:
            self._note('the disks', told)

    def confirm_place(self) -> None:
        """See, once, that the network knows where the guest is now."""
        cards, self._cards = self._cards, announcing.Cards()
        try:
            told = announcing.confirm(
                cards,
                self._links.destination,
                self._instance,
                self._wait,
                self._repeat,
            )
        except Exception as error:
            # The lane that this is in must outlive a defect.
            LOG.exception('Where the guest is now could not be confirmed')
            told = f'internal error: {error}'
        if told:
            self._note('the announcement', told)
