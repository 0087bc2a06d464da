"""Carries out the instructions of one migration through Nova's API.

The wish for a migration is sent once, whatever becomes of its answer: what
Nova has done is read off its records by the :mod:`.vigil`. Limits of downtime
and bandwidth are Nova's own, and passed over.
"""

import logging
import threading

from kvm_balancer import errors
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.model.cloud import records
from kvm_balancer.virt import attempt
from kvm_balancer.virt import driver
from kvm_balancer.virt import lane
from kvm_balancer.virt import steady
from kvm_balancer.virt.nova import api
from kvm_balancer.virt.nova import checks
from kvm_balancer.virt.nova import ends
from kvm_balancer.virt.nova import vigil

LOG = logging.getLogger(__name__)

#: Nova's clock and ours may differ by so much when records are matched.
_CLOCKS_SECONDS = 300.0
#: What Nova made a record of later after a migration was accepted here was
#: asked for by somebody else.
_ASKED_SECONDS = 900.0
#: A compute that was just enabled is marked as disabled until nova-compute has
#: come to it. Where Placement refuses it that, as it does while allocations
#: change there, a periodic task makes up for it: every minute, by default.
_MARKED_SECONDS = 180.0
#: What Nova can end: before anything, or while memory is copied.
_ABORTABLE = frozenset({'queued', 'preparing', 'running'})


class NovaCarrier(driver.Carrier):
    """One migration of a server.

    :param poll_seconds: between two looks at Nova's records
    :param may_force: Nova may be told to complete by force
    """

    def __init__(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        nova: api.Api,
        limits: vigil.Limits,
        poll_seconds: float,
        clock: steady.Clock,
        may_force: bool = False,
    ) -> None:
        self._wanted = wanted
        self._sink = sink
        self._nova = nova
        self._limits = limits
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._may_force = may_force
        self._telling = threading.Lock()
        self._closed = threading.Event()
        #: ids of what Nova had of this server before it was asked
        self._earlier: frozenset[int] | None = None
        self._found: records.Migration | None = None
        self._abort_wanted = False
        self._aborted = False
        self._changed_at = clock()
        self._seen: tuple[events.End, events.End] | None = None
        #: since when others tell of the copy, and better
        name = wanted.migration_id[:8]
        self._steering = lane.Lane(f'nova-steer-{name}')
        self._looking = lane.Lane(f'nova-look-{name}')

    def perform(self, instruction: instructions.Instruction) -> None:
        match instruction:
            case instructions.Check():
                self._put(self._looking, instruction, self._check)
            case instructions.LookAtEnds():
                self._put(self._looking, instruction, self._look_at_ends)
            case instructions.Start():
                self._put(self._steering, instruction, self._start)
            case instructions.SetDowntime() | instructions.SetBandwidth():
                # Nova's own options set them; the checks have said so.
                pass
            case instructions.Follow():
                self._put(self._steering, instruction, self._follow)
            case instructions.Unmark():
                # What marks the instance is Nova's record, which stays.
                self._tell(events.Unmarked(at=self._clock(), cause='Nova'))
            case (
                instructions.Mend()
                | instructions.Recover()
                | instructions.PausePostCopy()
            ):
                self._put(self._steering, instruction, self._leave_to_nova)
            case instructions.StartPostCopy():
                self._put(self._steering, instruction, self._force_complete)
            case instructions.Abort():
                self._put(self._steering, instruction, self._abort)
            case _:
                raise errors.MigrationError(
                    f'{type(instruction).__name__} is not an instruction '
                    'that a carrier knows.'
                )

    def close(self) -> None:
        with self._telling:
            self._closed.set()
        self._steering.close()
        self._looking.close()

    def _put(
        self,
        chosen: lane.Lane,
        instruction: instructions.Instruction,
        work: lane.Work,
    ) -> None:
        chosen.put(
            lambda: attempt.attempt(
                self._wanted.migration_id,
                instruction,
                work,
                self._clock,
                self._tell,
            ),
            attempt.delay_seconds(instruction),
        )

    def _tell(self, event: events.Event) -> None:
        with self._telling:
            if not self._closed.is_set():
                self._sink(event)

    # Steering

    def _start(self) -> None:
        try:
            before = self._nova.migrations(self._wanted.instance)
        except errors.UnreachableError as error:
            # Nothing was sent yet: that is sure, and a reason to stop here.
            raise errors.CloudError(str(error)) from error
        self._earlier = frozenset(one.id for one in before)
        watch = self._make_vigil()
        try:
            self._nova.live_migrate(
                self._wanted.instance, self._wanted.destination
            )
        except errors.UnreachableError as error:
            LOG.warning(
                'Migration %s: Nova gave no clear answer, and is not asked '
                'again; its records will tell: %s',
                self._wanted.migration_id,
                error,
            )
        self._keep_vigil(watch)

    def _follow(self) -> None:
        """Watch what an earlier run has asked for."""
        self._keep_vigil(self._make_vigil())

    def _leave_to_nova(self) -> None:
        raise errors.CloudError(
            "the instance is Nova's: what is left of it on its hosts is not "
            'touched from here'
        )

    def _make_vigil(self) -> vigil.Vigil:
        return vigil.Vigil(
            self._wanted.source,
            self._wanted.destination,
            self._limits,
            self._clock(),
        )

    def _keep_vigil(self, watch: vigil.Vigil) -> None:
        threading.Thread(
            target=self._watch,
            args=(watch,),
            name=f'nova-watch-{self._wanted.migration_id[:8]}',
            daemon=True,
        ).start()

    def _force_complete(self) -> None:
        if not self._may_force:
            raise errors.CloudError(
                'Nova is not to complete by force: [nova] force_complete is '
                'never'
            )
        found = self._record()
        if found is not None and found.status == ends.POST_COPY:
            # It was, and the answer was lost.
            return
        if found is None or found.status != 'running':
            raise errors.CloudError(
                'Nova completes by force what is running, and this is '
                f'{found.status if found else "not known to it"}'
            )
        self._nova.force_complete(self._wanted.instance, found.id)

    def _abort(self) -> None:
        """Abort now, or as soon as Nova has what can be aborted.

        :raises CloudError: when there is no way back
        """
        self._abort_wanted = True
        found = self._record()
        if found is not None and found.status == ends.POST_COPY:
            self._abort_wanted = False
            raise errors.CloudError(
                f'migration {found.id} is in post-copy: there is no way back'
            )
        self._abort_if_wanted(found)

    def _abort_if_wanted(self, found: records.Migration | None) -> None:
        if not self._abort_wanted or self._aborted or found is None:
            return
        if found.status not in _ABORTABLE:
            return
        # Whatever the answer: it is sent once.
        self._aborted = True
        try:
            self._nova.abort(self._wanted.instance, found.id)
        except errors.UnreachableError:
            raise
        except errors.KVMBalancerError as error:
            # Nova changes its mind between two looks; it is asked anew then.
            self._aborted = False
            LOG.info('Migration %s: %s', self._wanted.migration_id, error)

    # Looking

    def _check(self) -> None:
        until = self._clock() + _MARKED_SECONDS
        found = checks.check(self._nova, self._wanted)
        while checks.is_about_to_open(found) and self._clock() < until:
            if self._closed.wait(self._poll_seconds):
                return
            found = checks.check(self._nova, self._wanted)
        self._tell(
            events.Checked(
                at=self._clock(), cause='pre-flight at Nova', checks=found
            )
        )

    def _watch(self, watch: vigil.Vigil) -> None:
        while not (watch.over or self._closed.wait(self._poll_seconds)):
            try:
                told = watch.look(self._sight())
            except errors.KVMBalancerError as error:
                told = watch.blind(self._clock(), str(error))
            except Exception as error:
                # A migration nobody watches would be waited for without end.
                LOG.exception('A look at Nova broke')
                told = watch.blind(self._clock(), f'internal error: {error}')
            for event in told:
                self._tell(event)
        if watch.abort_due and not self._closed.is_set():
            self._steering.put(self._abort_quietly)

    def _abort_quietly(self) -> None:
        try:
            self._abort()
        except errors.KVMBalancerError as error:
            LOG.warning(
                'Migration %s is stuck, and Nova did not end it: %s',
                self._wanted.migration_id,
                error,
            )

    def _sight(self) -> vigil.Sight:
        # The migration first: a server moves before its migration completes,
        # and one that was seen complete is then seen moved.
        found = self._record()
        if found is not None and found.status == 'running':
            figures = self._nova.figures(self._wanted.instance, found.id)
            found = figures or found
        try:
            self._abort_if_wanted(found)
        except errors.UnreachableError as error:
            LOG.warning(
                'Migration %s: no answer to the abort: %s',
                self._wanted.migration_id,
                error,
            )
        server = self._nova.server(self._wanted.instance)
        why = ''
        if found is not None and found.status in ends.FAILED:
            why = self._why()
        return vigil.Sight(self._clock(), server, found, why)

    def _why(self) -> str:
        """Say why it failed; empty where Nova does not tell us."""
        try:
            return self._nova.failure(self._wanted.instance)
        except errors.KVMBalancerError as error:
            # That it failed is known without.
            LOG.info(
                'Migration %s: Nova does not tell why it failed: %s',
                self._wanted.migration_id,
                error,
            )
            return ''

    def _record(self) -> records.Migration | None:
        """Return Nova's record of this very migration."""
        listed = self._nova.migrations(self._wanted.instance)
        if self._found is not None:
            known = self._found.id
            found = next((one for one in listed if one.id == known), None)
            return found or self._found
        ours = [one for one in listed if self._is_ours(one)]
        if ours:
            # The first: whoever moved the server the same way did so later.
            self._found = ours[-1]
        return self._found

    def _is_ours(self, one: records.Migration) -> bool:
        wanted = self._wanted
        if one.source not in ('', wanted.source) or one.destination not in (
            '',
            wanted.destination,
        ):
            return False
        if self._earlier is not None:
            return one.id not in self._earlier
        # An earlier run asked for it.
        after = one.created_at - wanted.accepted_at
        return -_CLOCKS_SECONDS <= after <= _ASKED_SECONDS

    def _look_at_ends(self) -> None:
        if self._closed.is_set():
            return
        seen = self._ends()
        now = self._clock()
        if seen != self._seen:
            self._seen, self._changed_at = seen, now
        elif (
            any(end.job_active for end in seen)
            and now - self._changed_at >= self._limits.quiet_seconds
        ):
            # Who adopted it would wait for as long as it takes.
            seen = ends.unreachable(
                f'{seen[0].detail}, and nothing new for '
                f'{self._limits.quiet_seconds:g} s'
            )
        self._tell(
            events.EndsSeen(
                at=now,
                cause="look at Nova's records",
                source=seen[0],
                destination=seen[1],
            )
        )

    def _ends(self) -> ends.Ends:
        wanted = self._wanted
        try:
            found = self._record()
            server = self._nova.server(wanted.instance)
        except errors.KVMBalancerError as error:
            return ends.unreachable(str(error))
        return ends.read(wanted.source, wanted.destination, server, found)
