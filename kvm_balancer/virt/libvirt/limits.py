"""The limits of a domain's migrations, put back when one of them is over.

libvirt and QEMU keep what one migration was limited to for the next one,
whoever begins that: an operator would wonder at a downtime that he never set.
Owns what was there before; what is set meanwhile is the carrier's.
"""

import libvirt

from kvm_balancer.virt.libvirt import connection

#: Streams, by libvirt's flags: that of pre-copy and that of post-copy.
_STREAMS = (0, libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY)


class Limits:
    """What a domain's migrations were limited to before this one."""

    def __init__(self) -> None:
        self._downtime_ms: int | None = None
        self._bandwidths_mib_s: tuple[int, ...] = ()

    def remember(self, domain: connection.Handle) -> None:
        """Note what is there, before the first of it is changed."""
        if self._downtime_ms is None:
            self._bandwidths_mib_s = _bandwidths(domain)
            self._downtime_ms = domain.migrateGetMaxDowntime(0)

    def restore(self, domain: connection.Handle) -> None:
        """Put back what is another one now, if it was noted."""
        downtime_ms = self._downtime_ms
        if downtime_ms is None:
            return
        if domain.migrateGetMaxDowntime(0) != downtime_ms:
            domain.migrateSetMaxDowntime(downtime_ms, 0)
        for flag, before, now in zip(
            _STREAMS, self._bandwidths_mib_s, _bandwidths(domain), strict=True
        ):
            if now != before:
                domain.migrateSetMaxSpeed(before, flag)


def _bandwidths(domain: connection.Handle) -> tuple[int, ...]:
    return tuple(domain.migrateGetMaxSpeed(flag) for flag in _STREAMS)
