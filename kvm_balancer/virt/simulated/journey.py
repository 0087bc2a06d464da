"""One migration in a simulated world, as its hypervisors carry it out.

Pure. ::

    idle -> preparing -> copying -> stopped -> over
                           +-> switching -> post-copy -> over
                                            +-> broken -> post-copy

Told are the events that libvirt and QEMU would send, in their order: the
end of each pass, the stop of the guest on the source, the final figures of
a job that succeeded, and the return of the call.
"""

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.virt.simulated import passage

_State = events.EndState
Phase = passage.Phase


class Journey(passage.Passage):
    """One migration, by whichever way; it may be lost sight of."""

    @property
    def under_way(self) -> bool:
        """A job holds the instance, or waits to be taken up again."""
        return self.phase not in (Phase.IDLE, Phase.OVER)

    def start_post_copy(self) -> None:
        """Run the guest on the destination now.

        :raises HypervisorError: where it cannot be
        """
        self._find()
        if not self._post_copy_allowed:
            raise errors.HypervisorError(
                'post-copy was not asked for when the migration was started'
            )
        if self.phase is Phase.COPYING:
            self._switch_to_post_copy()

    def pause_post_copy(self) -> None:
        """Give the stream up.

        :raises HypervisorError: when post-copy does not run
        """
        if self.phase is not Phase.POST_COPY:
            raise errors.HypervisorError('post-copy does not run')
        self._break_post_copy()

    def recover(self) -> None:
        """Go on over a new stream.

        :raises HypervisorError: when there is nothing to recover
        """
        if self.phase is not Phase.BROKEN:
            raise errors.HypervisorError('there is no broken post-copy')
        try:
            for name in (self.source, self.destination):
                self._around.host(name).answer()
        except errors.HypervisorUnreachable as error:
            self._voice.returned(str(error))
            return
        self.phase = Phase.POST_COPY
        self._both.come_together()
        self._voice.happened(events.PostCopyBegun)
        self._caught_up_at = self._around.now
        self._around.network.join(self)
        self._look()

    def follow(self) -> None:
        """Tell on, to whoever listens now."""
        self._voice.muted = False
        if not self.under_way:
            self._voice.returned('there is no job')

    def lose_sight(self) -> None:
        """Go on, and tell nobody: the word of the call was the last one."""
        self._voice.returned('the connection was lost', lost=True)
        self._voice.muted = True

    def abandon(self) -> None:
        """Be forgotten by the hypervisors, and leave both copies."""
        self._leave_network()
        self.phase = Phase.OVER
        self._both.abandon()
        self._voice.returned('the hypervisor forgot it', lost=True)

    def break_link(self) -> None:
        """Cut the stream."""
        super().break_link()
        if self.phase in (Phase.SWITCHING, Phase.POST_COPY):
            self._break_post_copy()

    # -- post-copy ---------------------------------------------------------

    def _switch_to_post_copy(self) -> None:
        self._around.network.leave(self)
        self.phase = Phase.SWITCHING
        self._halt(_State.POST_COPY)
        if self._due is not None:
            self._due.call_off()
        self._due = self._around.after(
            self._around.pace.switch, self._go_on_there
        )

    def _go_on_there(self) -> None:
        self.phase = Phase.POST_COPY
        self._both.run_there(_State.POST_COPY, self._around.now)
        self._downtime_ms = self._stood_still_ms()
        self._voice.happened(events.PostCopyBegun)
        self._voice.happened(events.SourceStopped)
        self._caught_up_at = self._around.now
        self._around.network.join(self)

    def _break_post_copy(self) -> None:
        self._around.network.leave(self)
        self.phase = Phase.BROKEN
        if self._due is not None:
            self._due.call_off()
        self._both.fall_apart()
        self._voice.happened(events.PostCopyBroke)
        self._voice.returned('the stream of post-copy broke')
