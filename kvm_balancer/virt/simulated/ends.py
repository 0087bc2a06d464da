"""The two ends of a simulated migration: what each host has meanwhile. Pure.

The source lets go only when the guest runs on the destination, and the
destination only when the guest is back on the source: in between both hold
its memory, and one of them at most runs it.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.simulated import hosts

_State = events.EndState


class Ends:
    """The copies of one instance on two hosts.

    :param held: what the source has; a job holds it from now on
    :ivar paused: its owner paused it before: it travels and arrives so
    """

    def __init__(self, source: hosts.Host, held: hosts.Holding) -> None:
        self.instance = held.instance
        self.paused = held.state is _State.PAUSED
        self._source = source
        self._destination: hosts.Host | None = None
        self._leaving = held
        self._coming: hosts.Holding | None = None
        held.job_active = True

    def arrange(self, there: hosts.Host, now: float) -> None:
        """Let the destination prepare.

        :raises KVMBalancerError: when it does not
        """
        there.answer()
        if self.instance.id in there.holdings:
            raise errors.HypervisorError(
                f'{there.facts.name} has an instance of this uuid already'
            )
        if there.memory_free_mib < self.instance.guest.memory_mib:
            raise errors.HypervisorError(
                f'{there.facts.name} cannot set up the memory of the guest: '
                'Cannot allocate memory'
            )
        self._destination = there
        self._coming = hosts.Holding(
            instance=self.instance,
            state=_State.PAUSED_MIGRATION,
            executes=False,
            since=now,
            job_active=True,
            arriving=True,
            mark=self._leaving.mark,
        )
        there.holdings[self.instance.id] = self._coming

    def throttle(self, percent: int) -> None:
        """Slow the guest down on the source."""
        self._leaving.throttle_percent = percent

    def halt(self, state: events.EndState) -> None:
        """Stop the guest on the source."""
        if not self.paused:
            self._leaving.state = state
            self._leaving.executes = False

    def run_there(self, state: events.EndState, now: float) -> None:
        """Let the guest run on the destination."""
        if self._coming is not None:
            self._coming.state = state
            self._coming.executes = True
            self._coming.since = now

    def land(self, now: float) -> None:
        """Let the source let go: the instance is the destination's."""
        self._source.holdings.pop(self.instance.id, None)
        if self._coming is None:
            return
        if not self._coming.executes:
            self._coming.since = now
        self._coming.state = _State.PAUSED if self.paused else _State.RUNNING
        self._coming.executes = not self.paused
        self._coming.job_active = self._coming.arriving = False

    def go_back(self) -> None:
        """Let the guest stay, or go on, on the source alone."""
        if self._destination is not None:
            self._destination.holdings.pop(self.instance.id, None)
        held = self._leaving
        held.state = _State.PAUSED if self.paused else _State.RUNNING
        held.executes = not self.paused
        held.job_active = False
        held.throttle_percent = 0

    def fall_apart(self) -> None:
        """Leave part of the memory on either end, and run on none."""
        for held in (self._leaving, self._coming):
            if held is not None:
                held.state = _State.POST_COPY_FAILED
                held.executes = False

    def come_together(self) -> None:
        """Go on with post-copy that had fallen apart."""
        self._leaving.state = _State.POST_COPY
        if self._coming is not None:
            self._coming.state = _State.POST_COPY
            self._coming.executes = True

    def abandon(self) -> None:
        """Leave both copies as they are, with no job to hold them."""
        for held in (self._leaving, self._coming):
            if held is not None:
                held.job_active = held.arriving = False
