"""Convergence as Nova has it: steps of downtime and a timeout, by the clock.

The limit of downtime begins with a share of what is allowed and rises by
equal steps; how long a step lasts, and after how long the copy is ended,
goes by the size of the guest. What the copy looks like does not matter.

It differs where Nova would break a limit: where Nova stops the guest to
force the end, for however long the rest takes, the migration is given up
when the rest does not fit the downtime that is allowed.
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import familiar
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.model import plan

ABORT = 'abort'
FORCE_COMPLETE = 'force_complete'
ACTIONS = (ABORT, FORCE_COMPLETE)

_MIB_PER_GIB = 1024.0
#: Nova takes memory, and disks, for at least this large.
_LEAST_GIB = 2.0
#: How long the end of a pass, and the switch, are waited for at the timeout.
_SWITCH_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Params(contract.Params):
    """Options, with Nova's defaults.

    :ivar steps: in which the downtime rises to what is allowed
    :ivar step_seconds: for each step, for each GiB
    :ivar timeout_seconds: of the copy, for each GiB; 0 for none
    :ivar timeout_action: what is done then, one of ``ACTIONS``
    """

    steps: int = 10
    step_seconds: float = 75.0
    timeout_seconds: float = 800.0
    timeout_action: str = ABORT

    def __post_init__(self) -> None:
        if self.timeout_action not in ACTIONS:
            raise ValueError(
                f'timeout_action must be one of {", ".join(ACTIONS)}, and is '
                f'{self.timeout_action!r}'
            )


class Nova(contract.Convergence):
    """Raise the downtime by steps, and end the copy at a timeout, as Nova."""

    params_class = Params
    params: Params

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self._options = request.Options()
        self._network = familiar.Network(self._options)
        self._post_copy = False
        self._begun_at: float | None = None
        self._memory_at = 0.0
        self._limit_ms = 0
        self._memory_mib = 0.0
        self._disk_mib = 0.0
        self._each_disk_mib: tuple[float, ...] = ()

    @property
    def manner(self) -> manners.Manner:
        return manners.Manner(
            familiar.ALL_OF_IT,
            throttles_beside_post_copy=False,
            post_copy=self.params.timeout_action == FORCE_COMPLETE,
            by_clock=True,
            seconds_per_gib=self.params.timeout_seconds,
            least_gib=_LEAST_GIB,
            downtime_steps=self.params.steps,
            step_seconds_per_gib=self.params.step_seconds,
            unheeded=familiar.UNHEEDED,
        )

    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> contract.Settings:
        self._options = familiar.settle_throttle(options)
        self._network = familiar.Network(options)
        if options.post_copy:
            # Nova takes one of the two.
            self._options = dataclasses.replace(
                self._options, auto_converge=False
            )
        self._post_copy = options.post_copy
        if self._begun_at is None:
            self._begun_at = at
        self._memory_at = at
        self._limit_ms = self.downtime_ms(self._step(self._elapsed(at)))
        return contract.Settings(self._options, self._limit_ms)

    def bandwidth_limited(self, mib_s: int, at: float) -> None:
        self._network.limit(mib_s)

    def link_shared(self, streams: int, at: float) -> None:
        self._network.share(streams)

    def post_copy_refused(self, reason: str) -> None:
        self._post_copy = False
        self._network.refuse_post_copy()

    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        self._network.take(statistics, at, boundary)
        return self._network.heed(self._decide(statistics, at, boundary), at)

    def _decide(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        self._memory_mib = max(self._memory_mib, statistics.total_mib)
        self._disk_mib = max(self._disk_mib, statistics.disk_total_mib)
        elapsed = self._elapsed(at)
        timeout, spent = self._timeout(at)
        if 0 < timeout <= spent:
            # the memory has its turn, however long its disks took
            over = min(spent - timeout, at - self._memory_at)
            late = boundary or over > _SWITCH_SECONDS
            return self._at_timeout(timeout, statistics, late)
        wanted = self.downtime_ms(self._step(elapsed))
        if wanted > self._limit_ms:
            self._limit_ms = wanted
            return contract.RaiseDowntime(
                f'{elapsed:.0f} s since the start', wanted
            )
        return contract.CarryOn(
            f'downtime limit {self._limit_ms} ms for now,'
            f' {statistics.remaining_mib:.0f} MiB left'
        )

    def judge_disks(
        self,
        statistics: events.Statistics,
        disk_mib: collections.abc.Collection[float],
        at: float,
    ) -> contract.Decision:
        """End the copy at the timeout, where that is what is done then.

        Nova's clock is one for the disks and the memory. There is nothing to
        be forced before the memory's turn; then it is at once.
        """
        self._disk_mib = max(self._disk_mib, statistics.disk_total_mib)
        self._each_disk_mib = tuple(disk_mib)
        timeout, spent = self._timeout(at)
        own = self._options.time_limit_seconds > 0
        if own or not 0 < timeout <= spent:
            return super().judge_disks(statistics, disk_mib, at)
        if self.params.timeout_action != ABORT:
            return contract.CarryOn('it is forced once the disks are across')
        return contract.GiveUp(
            f'the timeout of {timeout:.0f} s passed with'
            f' {statistics.disk_remaining_mib:.0f} MiB of the disks left'
        )

    def downtime_ms(self, step: int) -> int:
        """Return the limit of downtime at a step, from 0."""
        return self.manner.downtime_ms(self._options.max_downtime_ms, step)

    def _size_gib(self) -> float:
        disks = self._each_disk_mib
        if not disks and self._disk_mib:
            disks = (self._disk_mib,)
        # Before its turn what is known of the memory is that there is some.
        return sum(
            max(mib / _MIB_PER_GIB, _LEAST_GIB)
            for mib in (self._memory_mib, *disks)
        )

    def _elapsed(self, at: float) -> float:
        return 0.0 if self._begun_at is None else at - self._begun_at

    def _step(self, elapsed: float) -> int:
        seconds = self.params.step_seconds * self._size_gib()
        return int(elapsed / seconds) if seconds > 0 else self.params.steps

    def _timeout(self, at: float) -> tuple[float, float]:
        """Return the timeout in seconds, 0 for none, and what is spent of it.

        A limit of the request's own does not count the disks' time.
        """
        limit = self._options.time_limit_seconds
        if limit:
            return limit, at - self._memory_at
        timeout = self.params.timeout_seconds * self._size_gib()
        return timeout, self._elapsed(at)

    def _at_timeout(
        self, timeout: float, statistics: events.Statistics, late: bool
    ) -> contract.Decision:
        why = (
            f'the timeout of {timeout:.0f} s passed with'
            f' {statistics.remaining_mib:.0f} MiB left'
        )
        if self.params.timeout_action == ABORT:
            return contract.GiveUp(why)
        if self._post_copy:
            return contract.StartPostCopy(why)
        allowed = self._options.max_downtime_ms
        if self._limit_ms < allowed:
            self._limit_ms = allowed
            return contract.RaiseDowntime(why, allowed)
        if not late:
            return contract.CarryOn(f'{why}: about to switch')
        return contract.GiveUp(
            f'{why}, which do not fit the {allowed} ms allowed, and'
            f' {self.no_post_copy}'
        )
