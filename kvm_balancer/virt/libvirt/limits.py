"""The limits of a domain's migrations, put back when one of them is over.

libvirt and QEMU keep what one migration was limited to for the next one,
whoever begins that: an operator would wonder at a downtime that he never set.
Owns what was there before; what is set meanwhile is the carrier's. The mark of
the migration tells it to another run of the executor.
"""

import dataclasses

import libvirt

from kvm_balancer.virt import marks
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import marking

_POST_COPY = libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY


class Limits:
    """What a domain's migrations were limited to before this one.

    :param migration_id: of this one
    :ivar before: None while nothing was noted
    """

    def __init__(self, migration_id: str) -> None:
        self._migration_id = migration_id
        self.before: marks.Limits | None = None

    def remember(self, domain: connection.Handle) -> bool:
        """Note what is there, before the first of it is changed.

        It is added to the mark, where there is one without it: what else that
        tells may be of an earlier run.

        :returns: whether the domain is still to be marked
        """
        if self.before is not None:
            return False
        mark = self._mark(domain)
        before = None if mark is None else mark.limits
        self.before = before or _read(domain)
        if mark is None:
            return True
        if before is None:
            marking.write(
                domain, dataclasses.replace(mark, limits=self.before)
            )
        return False

    def restore(self, domain: connection.Handle) -> None:
        """Put back what is another one now, if it was noted."""
        before = self.before
        if before is None:
            mark = self._mark(domain)
            before = None if mark is None else mark.limits
        if before is None:
            return
        now = _read(domain)
        if now.downtime_ms != before.downtime_ms:
            domain.migrateSetMaxDowntime(before.downtime_ms, 0)
        if now.bandwidth_mib_s != before.bandwidth_mib_s:
            domain.migrateSetMaxSpeed(before.bandwidth_mib_s, 0)
        if now.post_copy_mib_s != before.post_copy_mib_s:
            domain.migrateSetMaxSpeed(before.post_copy_mib_s, _POST_COPY)

    def _mark(self, domain: connection.Handle) -> marks.Mark | None:
        mark = marking.read(domain)
        if mark is None or mark.migration_id != self._migration_id:
            return None
        return mark


def _read(domain: connection.Handle) -> marks.Limits:
    return marks.Limits(
        downtime_ms=domain.migrateGetMaxDowntime(0),
        bandwidth_mib_s=domain.migrateGetMaxSpeed(0),
        post_copy_mib_s=domain.migrateGetMaxSpeed(_POST_COPY),
    )
