"""What a simulated migration tells, in the words of its hypervisors. Pure."""

from kvm_balancer.migration import events
from kvm_balancer.virt.simulated import scene

_EVENT = "the hypervisor's event"


class Voice:
    """Tells the events of one migration, at the moment they happen."""

    def __init__(self, around: scene.Scene, migration_id: str) -> None:
        self._around = around
        self._migration_id = migration_id
        #: whoever listened has lost sight of it
        self.muted = False

    def progressed(self, statistics: events.Statistics) -> None:
        """Tell where the copy stands."""
        self._tell(
            events.Progressed(
                at=self._around.now,
                cause='job statistics',
                statistics=statistics,
            )
        )

    def passed(self, statistics: events.Statistics) -> None:
        """Tell that a pass over the memory has ended."""
        self._tell(
            events.PassEnded(
                at=self._around.now, cause=_EVENT, statistics=statistics
            )
        )

    def happened(self, kind: type[events.Event]) -> None:
        """Tell of an event that has nothing to add."""
        self._tell(kind(at=self._around.now, cause=_EVENT))

    def settled(
        self, statistics: events.Statistics, downtime_ms: float
    ) -> None:
        """Tell the final figures."""
        self._tell(
            events.JobSettled(
                at=self._around.now,
                cause=_EVENT,
                statistics=statistics,
                downtime_ms=downtime_ms,
            )
        )

    def returned(self, error: str = '', lost: bool = False) -> None:
        """Tell that the call came back.

        :param error: empty for success
        :param lost: with the connection, and perhaps events before it
        """
        self._tell(
            events.CallReturned(
                at=self._around.now,
                cause='the call that migrates',
                error=error,
                events_lost=lost,
            )
        )

    def _tell(self, event: events.Event) -> None:
        if self.muted:
            return
        self._around.tell(self._migration_id, event)
