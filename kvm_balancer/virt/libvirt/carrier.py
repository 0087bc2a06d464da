"""Carries out the instructions of one migration through libvirt.

Two lanes, each a thread with a queue, so that ``perform`` never waits: one
steers the job (start, limits, post-copy, abort), the other looks (pre-flight
and both ends), since a look may take as long as a silent host is waited for.
Both ends have connections of this carrier's own (:mod:`.lines`).
"""

import collections.abc
import contextlib
import logging
import threading

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import attempt
from kvm_balancer.virt import driver
from kvm_balancer.virt import lane
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import besides
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import jobs
from kvm_balancer.virt.libvirt import limits
from kvm_balancer.virt.libvirt import lines
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import mending
from kvm_balancer.virt.libvirt import notes
from kvm_balancer.virt.libvirt import preflight
from kvm_balancer.virt.libvirt import watch

LOG = logging.getLogger(__name__)

#: QEMU's own limit of the downtime, for a start that was not told any.
_USUAL_DOWNTIME_MS = 300

#: What was begun before the end is let go on for so long; what hangs on a
#: monitor that is dead would go on for ever.
_LAST_WORK_SECONDS = 30.0


class LibvirtCarrier(driver.Carrier):
    """One migration away from the host of *source_uri*.

    :param local: this process stands on the source host itself
    :param clock: tells when the events happen
    :param repeat_announcement: announce the guest once more where the
        network has not heard of its new place
    """

    def __init__(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        source_uri: str,
        manage: ownership.Manage,
        timing: connection.Timing,
        poll_seconds: float,
        local: bool,
        clock: steady.Clock,
        repeat_announcement: bool = True,
    ) -> None:
        self._clock = clock
        self._wanted = wanted
        self._sink = sink
        self._telling = threading.Lock()
        self._closed = threading.Event()
        heard = notes.Notes(wanted.instance, clock)
        self._lines = lines.Lines(
            source_uri, wanted.destination_uri, timing, heard
        )
        self._watch = watch.Watch(
            wanted.instance,
            heard,
            self._lines,
            self._tell,
            poll_seconds,
            clock,
        )
        self._manage = manage
        self._mender = mending.Mender(self._lines, wanted, manage)
        self._local = local
        #: told before the start: it takes the place of the options' own
        self._bandwidth_mib_s: int | None = None
        #: what the call was told
        self._begun_mib_s: int | None = None
        self._copying = False
        self._downtime_set = False
        self._besides = besides.Besides(
            wanted.instance,
            wanted.migration_id,
            self._lines,
            self._closed.wait,
            repeat_announcement,
            self._note,
        )
        self._limits = limits.Limits(wanted.migration_id)
        name = wanted.migration_id[:8]
        self._steering = lane.Lane(f'steer-{name}')
        self._looking = lane.Lane(f'look-{name}')

    def perform(self, instruction: instructions.Instruction) -> None:
        if isinstance(instruction, instructions.Check):
            self._lines.prepare()
        looking = self._looking_work(instruction)
        if looking is not None:
            self._put(self._looking, instruction, looking)
            return
        self._put(
            self._steering, instruction, self._steering_work(instruction)
        )

    def _looking_work(
        self, instruction: instructions.Instruction
    ) -> lane.Work | None:
        """Return what is done beside the job, and may take its time."""
        match instruction:
            case instructions.Check():
                return self._check
            case instructions.LookAtEnds():
                return lambda: self._look_at_ends(instruction)
            case instructions.Mend():
                return lambda: self._mend(instruction)
            case instructions.Unmark():
                return lambda: self._unmark(instruction)
            case _:
                return None

    def _steering_work(
        self, instruction: instructions.Instruction
    ) -> lane.Work:
        """Return what is done to the job.

        :raises MigrationError: when it is nothing for a carrier
        """
        match instruction:
            case instructions.Start(options=options):
                return lambda: self._start(options)
            case instructions.SetDowntime(downtime_ms=limit):
                return lambda: self._set_downtime(limit)
            case instructions.SetBandwidth(mib_s=limit):
                return lambda: self._set_bandwidth(limit)
        plain: dict[type[instructions.Instruction], lane.Work] = {
            instructions.Follow: self._follow,
            instructions.StartPostCopy: self._start_post_copy,
            instructions.PausePostCopy: self._watch.pause_post_copy,
            instructions.Recover: self._recover,
            instructions.Abort: self._watch.abort,
        }
        kind = type(instruction)
        if kind not in plain:
            raise errors.MigrationError(
                f'{kind.__name__} is not an instruction that a carrier knows.'
            )
        return plain[kind]

    def close(self) -> None:
        with self._telling:
            self._closed.set()
        self._watch.close()
        self._steering.close()
        self._looking.close()
        # Closing says goodbye to the other side, which may not answer.
        threading.Thread(target=self._let_go, daemon=True).start()

    def _let_go(self) -> None:
        for one in (self._steering, self._looking):
            one.wait(_LAST_WORK_SECONDS)
        self._lines.close()

    def _tell(self, event: events.Event) -> None:
        match event:
            case events.CallReturned(error=error):
                self._besides.disks.returned(error)
            case events.PostCopyBegun():
                self._looking.put(self._besides.confirm_place)
        with self._telling:
            if not self._closed.is_set():
                self._sink(event)
        if not self._copying and _shows_copying(event):
            self._copying = True
            self._put(
                self._steering,
                instructions.SetBandwidth(0),
                self._restore_bandwidth,
            )

    def _put(
        self,
        into: lane.Lane,
        instruction: instructions.Instruction,
        work: lane.Work,
    ) -> None:
        into.put(
            lambda: attempt.attempt(
                self._wanted.migration_id,
                instruction,
                work,
                self._clock,
                self._tell,
            ),
            attempt.delay_seconds(instruction),
        )

    # Steering

    def _start(self, settled: request.Options | None) -> None:
        options = settled or self._wanted.options
        self._besides.make_images(lambda: self._domain(self._mark))
        if not self._downtime_set:
            limit = min(_USUAL_DOWNTIME_MS, options.max_downtime_ms)
            # What hinders this hinders the call as well, and it says so.
            with contextlib.suppress(errors.KVMBalancerError):
                self._set_downtime(limit)
        self._watch.start(lambda handle: self._migrate(handle, options))

    def _recover(self) -> None:
        """Carry broken post-copy on, by the same call once more."""
        if self._mender.before_recovery() is events.EndState.POST_COPY:
            self._watch.pause_post_copy()
        options = self._wanted.options
        self._watch.start(
            lambda handle: self._migrate(
                handle, options, jobs.RESUME_POST_COPY
            ),
            recovers=True,
        )

    def _follow(self) -> None:
        """Watch the job, if it is that of this migration."""
        try:
            self._mender.refuse_foreign()
        except errors.HypervisorUnreachable as error:
            self._tell_lost(str(error), lost=True)
        except errors.KVMBalancerError as error:
            self._tell_lost(str(error))
        else:
            self._watch.follow()

    def _tell_lost(self, error: str, lost: bool = False) -> None:
        self._tell(
            events.CallReturned(
                at=self._clock(),
                cause='a job that runs',
                error=error,
                events_lost=lost,
            )
        )

    def _migrate(
        self,
        handle: connection.Handle,
        options: request.Options,
        more_flags: int = 0,
    ) -> None:
        domain = handle.lookupByUUIDString(self._wanted.instance)
        if not more_flags:
            self._mark(domain)
        bandwidth = self._bandwidth_mib_s
        if bandwidth is None:
            bandwidth = options.bandwidth_mib_s
        self._begun_mib_s = bandwidth
        # They are across before post-copy can break.
        disks = None if more_flags else self._besides.disks
        domain.migrateToURI3(
            self._wanted.destination_uri,
            jobs.parameters(
                options,
                self._wanted.migration_address,
                bandwidth,
                disks.targets if disks else (),
                self._host_name(options),
            ),
            jobs.flags(
                options,
                persistent=bool(domain.isPersistent()),
                paused=(
                    not more_flags
                    and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
                ),
                storage=disks.flag if disks else 0,
            )
            | more_flags,
        )

    def _host_name(self, options: request.Options) -> str:
        """Return the destination's name, as its libvirt knows it.

        Empty where nobody needs it: without an address of its own the stream
        is sent to that name.
        """
        if not (options.tls and self._wanted.migration_address):
            return ''
        return self._lines.destination.call(
            lambda handle: str(handle.getHostname())
        )

    def _domain(
        self,
        function: collections.abc.Callable[
            [connection.Handle], connection.Answer
        ],
    ) -> connection.Answer:
        return self._lines.hands.call(
            lambda handle: function(
                handle.lookupByUUIDString(self._wanted.instance)
            )
        )

    def _mark(self, domain: connection.Handle) -> None:
        """Have the domain tell all that another run has to know."""
        disks = self._besides.disks
        marking.write(
            domain,
            marks.of(
                self._wanted,
                disks.made,
                disks.planned,
                self._limits.before,
                self._besides.cards,
            ),
        )

    def _note_limits(self, domain: connection.Handle) -> None:
        if self._limits.remember(domain):
            self._mark(domain)

    def _set_downtime(self, downtime_ms: int) -> None:
        self._downtime_set = True
        self._domain(self._note_limits)
        self._domain(
            lambda domain: domain.migrateSetMaxDowntime(downtime_ms, 0)
        )

    def _set_bandwidth(self, mib_s: int) -> None:
        self._bandwidth_mib_s = mib_s
        self._domain(self._note_limits)
        limit = mib_s or jobs.UNLIMITED_MIB_S
        self._domain(lambda domain: domain.migrateSetMaxSpeed(limit, 0))
        if self._wanted.options.post_copy:
            self._domain(
                lambda domain: domain.migrateSetMaxSpeed(
                    limit, libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
                )
            )

    def _restore_bandwidth(self) -> None:
        """Set a limit once more that was set while the call began.

        libvirt takes it then, and puts the one that the call was told over
        it when the copy starts (seen with libvirt 9.0).
        """
        begun, wanted = self._begun_mib_s, self._bandwidth_mib_s
        if None not in (begun, wanted) and begun != wanted:
            self._set_bandwidth(wanted or 0)

    def _start_post_copy(self) -> None:
        self._domain(lambda domain: domain.migrateStartPostCopy(0))

    # Looking

    def _check(self) -> None:
        found = preflight.check(
            preflight.Situation(
                self._lines.source,
                self._lines.destination,
                self._wanted,
                self._manage,
                self._local,
            )
        )
        self._besides.take(found, self._wanted.options.keep_source_disks)
        self._tell(
            events.Checked(
                at=self._clock(),
                cause='pre-flight',
                checks=found.checks,
                disks=self._besides.disks.targets,
                disk_mib=self._besides.disks.sizes_mib,
                images=self._besides.disks.needs,
            )
        )

    def _mend(self, wish: instructions.Mend) -> None:
        text = self._mender.mend(wish)
        self._tell(events.Mended(at=self._clock(), cause='mended', text=text))

    def _unmark(self, wish: instructions.Unmark) -> None:
        # Where the instance has gone, there is nothing to put back.
        with contextlib.suppress(errors.KVMBalancerError):
            self._domain(self._limits.restore)
        if wish.clean:
            self._besides.clean(wish.never_left, wish.ran_there)
            if self._local:
                self._besides.see_locks()
        self._mender.unmark()
        self._tell(events.Unmarked(at=self._clock(), cause='unmarked'))

    def _look_at_ends(self, wish: instructions.LookAtEnds) -> None:
        if self._closed.is_set():
            return
        source = ends.look(self._lines.source, self._wanted.instance)
        destination = ends.look(self._lines.destination, self._wanted.instance)
        self._besides.see_to(source, destination, wish.ran_there)
        self._tell(
            events.EndsSeen(
                at=self._clock(),
                cause='look at both ends',
                source=source,
                destination=destination,
            )
        )

    def _note(self, cause: str, text: str) -> None:
        self._tell(events.Noted(at=self._clock(), cause=cause, text=text))


def _shows_copying(event: events.Event) -> bool:
    """Say whether the hypervisor has begun to copy, as an event tells."""
    return (
        isinstance(event, events.Progressed | events.PassEnded)
        and event.statistics.total_mib > 0.0
    )
