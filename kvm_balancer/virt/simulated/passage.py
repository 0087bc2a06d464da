"""The memory of a simulated guest on its way, until it is across. Pure.

What every migration goes through, whether it ends by pre-copy or, as
:mod:`.journey` has it, by post-copy.
"""

import enum

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import qemu
from kvm_balancer.migration import request
from kvm_balancer.virt import marks
from kvm_balancer.virt.simulated import agenda
from kvm_balancer.virt.simulated import ends
from kvm_balancer.virt.simulated import failures
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import scene
from kvm_balancer.virt.simulated import voice

_State = events.EndState


class Phase(enum.Enum):
    """Where a journey stands."""

    IDLE = enum.auto()
    PREPARING = enum.auto()
    COPYING = enum.auto()
    STOPPED = enum.auto()
    SWITCHING = enum.auto()
    POST_COPY = enum.auto()
    BROKEN = enum.auto()
    OVER = enum.auto()


#: Memory flows; the guest may go on at the source.
FLOWING = (Phase.COPYING, Phase.STOPPED, Phase.POST_COPY)
CAN_ABORT = (Phase.PREPARING, Phase.COPYING, Phase.STOPPED)


class Passage:
    """One migration away from the host *source*, but for post-copy.

    :ivar source: name of a host
    :ivar destination: name of a host
    :ivar limit_mib_s: of its stream; 0 for none
    """

    def __init__(
        self,
        around: scene.Scene,
        wanted: request.Request,
        source: str,
        destination: str,
    ) -> None:
        self.source = source
        self.destination = destination
        self.limit_mib_s = float(wanted.options.bandwidth_mib_s)
        self.phase = Phase.IDLE
        self._around = around
        self._wanted = wanted
        self._voice = voice.Voice(around, wanted.migration_id)
        self._downtime_ms = min(
            qemu.FIRST_DOWNTIME_MS, float(wanted.options.max_downtime_ms)
        )
        self._abort_wanted = False
        self._late_error = False
        self._post_copy_allowed = False
        self._bandwidth_mib_s = 0.0
        self._caught_up_at = self._started_at = self._stopped_at = around.now
        self._due: agenda.Entry | None = None
        self._cut: agenda.Entry | None = None
        self._ends: ends.Ends | None = None
        self._copy = memory.Copy(memory.Guest(0.0, 0.0), wanted.options)

    @property
    def instance(self) -> str:
        """Uuid of the instance."""
        return self._wanted.instance

    # -- what is asked of it -----------------------------------------------

    def set_downtime(self, downtime_ms: int) -> None:
        """Let the switch take that long."""
        self._find()
        self._downtime_ms = float(downtime_ms)
        if self.phase is Phase.COPYING:
            self.catch_up()
            self._expect_end()

    def set_bandwidth(self, mib_s: int) -> None:
        """Limit the stream; 0 for no limit."""
        self._find()
        if self.phase in FLOWING:
            self._around.network.change(self, float(mib_s))
        else:
            self.limit_mib_s = float(mib_s)

    def abort(self) -> None:
        """End the job now, or as soon as there is one.

        :raises HypervisorError: when it is past the point of return
        """
        self._abort_wanted = True
        if self.phase in CAN_ABORT:
            self._fail('the job was aborted on request')
        elif self.phase in (Phase.SWITCHING, Phase.POST_COPY, Phase.BROKEN):
            self._abort_wanted = False
            raise errors.HypervisorError('post-copy cannot be aborted')

    def start(self, options: request.Options) -> None:
        """Make the call; whatever comes of it is told as events."""
        around = self._around
        if self._abort_wanted:
            self._voice.returned('it was cancelled before it began')
            return
        try:
            held = self._find()
            if held.job_active:
                raise errors.HypervisorError('another job holds the instance')
        except errors.HypervisorUnreachable as error:
            self._voice.returned(str(error), lost=True)
            return
        except errors.KVMBalancerError as error:
            self._voice.returned(str(error))
            return
        both = self._prepare(held, options)
        failure = around.dice.draw(held.instance.id)
        try:
            self._arrange_failure(failure)
            both.arrange(around.host(self.destination), around.now)
        except errors.KVMBalancerError as error:
            text = str(error)
            self._due = around.after(
                around.pace.prepare, lambda: self._fail(text)
            )
            return
        self._due = around.after(around.pace.prepare, self._begin_copy)

    def break_link(self) -> None:
        """Cut the stream."""
        if self.phase in CAN_ABORT:
            self._fail('unable to write to the stream: Broken pipe')

    # -- the stream --------------------------------------------------------

    def catch_up(self) -> None:
        """Account for the time until now, at the bandwidth it had."""
        seconds = self._around.now - self._caught_up_at
        self._caught_up_at = self._around.now
        if self.phase in FLOWING and seconds > 0.0:
            self._copy.run(seconds, self._bandwidth_mib_s)

    def flow(self, bandwidth_mib_s: float) -> None:
        """Go on at another bandwidth from now on."""
        self._bandwidth_mib_s = bandwidth_mib_s
        self._expect_end()

    def _expect_end(self) -> None:
        """Put the end of the stretch under way on the agenda."""
        if self._due is not None:
            self._due.call_off()
        due = {
            Phase.COPYING: self._end_pass,
            Phase.STOPPED: self._stop_ends,
            Phase.POST_COPY: self._arrive,
        }
        seconds = self._copy.seconds_left(
            self._bandwidth_mib_s,
            self._fits_mib if self.phase is Phase.COPYING else 0.0,
        )
        self._due = self._around.after(seconds, due[self.phase])

    # -- before the first byte ---------------------------------------------

    def _find(self) -> hosts.Holding:
        host = self._around.host(self.source)
        return host.find(self._wanted.instance)

    def _prepare(
        self, held: hosts.Holding, options: request.Options
    ) -> ends.Ends:
        self.phase = Phase.PREPARING
        held.mark = marks.of(self._wanted)
        self._started_at = self._around.now
        both = ends.Ends(self._around.host(self.source), held)
        self._ends = both
        self._post_copy_allowed = options.post_copy and not both.paused
        guest = held.instance.guest
        speed = 0.0 if both.paused else self._around.speed
        self._copy = memory.Copy(guest.at_speed(speed), options)
        return both

    def _arrange_failure(self, failure: failures.Failure | None) -> None:
        if failure is None:
            return
        match failure.kind:
            case failures.Kind.UNREACHABLE:
                raise errors.HypervisorError(
                    f'unable to connect to {self.destination}: No route to '
                    'host'
                )
            case failures.Kind.LINK_CUT:
                mib = self._copy.guest.in_use_mib * failure.share
                host = self._around.host(self.source)
                speed = host.facts.migration_mib_s * self._around.speed
                self._cut = self._around.after(
                    self._around.pace.prepare + mib / speed, self.break_link
                )
            case failures.Kind.LATE_ERROR:
                self._late_error = True

    # -- pre-copy ----------------------------------------------------------

    def _begin_copy(self) -> None:
        self.phase = Phase.COPYING
        self._caught_up_at = self._around.now
        self._around.network.join(self)
        self._look()

    def _look(self) -> None:
        """Tell where the copy stands, again and again."""
        if self.phase in (Phase.BROKEN, Phase.OVER):
            return
        if self.phase in FLOWING:
            self.catch_up()
            self._voice.progressed(self._statistics())
        if self._around.pace.progress > 0.0:
            self._around.after(self._around.pace.progress, self._look)

    @property
    def _fits_mib(self) -> float:
        """What can be sent in the downtime."""
        return self._bandwidth_mib_s * self._downtime_ms / 1000.0

    def _end_pass(self) -> None:
        self.catch_up()
        self._copy.end_pass()
        self._both.throttle(self._copy.throttle_percent)
        self._voice.passed(self._statistics())
        if self._copy.left_mib <= self._fits_mib:
            self._stop_guest()
        else:
            self._expect_end()

    def _stop_guest(self) -> None:
        self.phase = Phase.STOPPED
        self._halt(_State.PAUSED_MIGRATION)
        if not self._both.paused:
            self._voice.happened(events.SourceStopped)
        self._expect_end()

    def _stop_ends(self) -> None:
        """All memory is across; the devices follow."""
        self._around.network.leave(self)
        self._due = self._around.after(self._around.pace.switch, self._arrive)

    def _halt(self, state: events.EndState) -> None:
        """Stop the guest where it was."""
        self._copy.freeze()
        self._stopped_at = self._around.now
        self._both.halt(state)

    # -- the end -----------------------------------------------------------

    def _stood_still_ms(self) -> float:
        return (self._around.now - self._stopped_at) * 1000.0

    def _arrive(self) -> None:
        """The source lets go; the instance is the destination's."""
        self.catch_up()
        if self.phase is Phase.STOPPED:
            self._downtime_ms = self._stood_still_ms()
        self._leave_network()
        self.phase = Phase.OVER
        self._both.land(self._around.now)
        if self._late_error:
            self._voice.returned(
                'cannot receive data: Connection reset', lost=True
            )
            return
        self._voice.settled(self._statistics(), self._downtime_ms)
        self._voice.returned()

    def _fail(self, error: str) -> None:
        """End the job; the guest stays, or goes on, on the source."""
        self._leave_network()
        self.phase = Phase.OVER
        self._both.go_back()
        self._voice.returned(error)

    @property
    def _both(self) -> ends.Ends:
        if self._ends is None:
            raise errors.MigrationError('the migration was not started')
        return self._ends

    def _leave_network(self) -> None:
        if self.phase in FLOWING:
            self._around.network.leave(self)
        for entry in (self._due, self._cut):
            if entry is not None:
                entry.call_off()

    def _statistics(self) -> events.Statistics:
        return self._copy.statistics(
            self._around.now - self._started_at, self._bandwidth_mib_s
        )
