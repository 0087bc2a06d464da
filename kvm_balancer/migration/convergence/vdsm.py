"""Convergence as oVirt's vdsm has it: schedules of actions by passes.

At the end of each pass at most one action of the schedule is taken, when
more passes are over than it says; whether anything was gained meanwhile
does not matter. A link that is dead is given up between them. The schedules
are those that oVirt's engine comes with.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import familiar
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.model import plan

AUTO = 'auto'
MINIMAL_DOWNTIME = 'minimal_downtime'
SUSPEND = 'suspend'
POST_COPY = 'post_copy'

FIRST_DOWNTIME_MS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One action of a schedule.

    :ivar after: more passes than this are over; 0 for the next one
    :ivar downtime_ms: the limit of downtime from then on; 0 where the copy
        is ended
    :ivar post_copy: it is ended by post-copy, and else given up
    """

    after: int = 0
    downtime_ms: int = 0
    post_copy: bool = False


_GIVE_UP = Item()
_RISE = (Item(1, 150), Item(2, 200), Item(3, 300), Item(4, 400), Item(6, 500))

#: By name, as oVirt's engine calls them.
SCHEDULES: dict[str, tuple[Item, ...]] = {
    MINIMAL_DOWNTIME: (*_RISE, _GIVE_UP),
    SUSPEND: (*_RISE, Item(downtime_ms=5000), _GIVE_UP),
    POST_COPY: (*_RISE[:2], Item(post_copy=True), _GIVE_UP),
}
NAMES = (AUTO, *SCHEDULES)


@dataclasses.dataclass(frozen=True, slots=True)
class Params(contract.Params):
    """Options.

    :ivar schedule: one of ``NAMES``; ``auto`` is ``post_copy`` where that
        is allowed, and ``minimal_downtime`` elsewhere
    """

    schedule: str = AUTO

    def __post_init__(self) -> None:
        if self.schedule not in NAMES:
            raise ValueError(
                f'schedule must be one of {", ".join(NAMES)}, and is '
                f'{self.schedule!r}'
            )


class Vdsm(contract.Convergence):
    """Go through a schedule of actions, one a pass, as oVirt's vdsm."""

    params_class = Params
    params: Params

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self._options = request.Options()
        self._network = familiar.Network(self._options)
        self._post_copy = False
        self._begun_at = 0.0
        self._limit_ms = 0
        self._left: list[Item] = []

    @property
    def manner(self) -> manners.Manner:
        return manners.Manner(
            familiar.ALL_OF_IT,
            post_copy=self.params.schedule in (AUTO, POST_COPY),
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
        self._post_copy = options.post_copy
        self._begun_at = at
        name = self.params.schedule
        if name == AUTO:
            name = POST_COPY if options.post_copy else MINIMAL_DOWNTIME
        self._left = list(SCHEDULES[name])
        self._limit_ms = min(FIRST_DOWNTIME_MS, options.max_downtime_ms)
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
        decision = self._decide(statistics, at, boundary)
        return self._network.over(at) or self._network.heed(decision, at)

    def _decide(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> contract.Decision:
        limit = self._options.time_limit_seconds
        if 0 < limit <= at - self._begun_at:
            return self._end(
                f'the time limit of {limit:g} s passed with'
                f' {statistics.remaining_mib:.0f} MiB left'
            )
        passes = statistics.iteration - 1
        counted = '1 pass' if passes == 1 else f'{passes} passes'
        seen = f'{counted}, {statistics.remaining_mib:.0f} MiB left'
        if not boundary or not self._left or passes <= self._left[0].after:
            return contract.CarryOn(seen)
        if self._left[0].post_copy:
            # which may be put off, and is the end of the schedule
            return self._act(self._left[0], seen)
        return self._act(self._left.pop(0), seen)

    def _act(self, item: Item, seen: str) -> contract.Decision:
        if item.downtime_ms:
            wanted = min(item.downtime_ms, self._options.max_downtime_ms)
            if wanted <= self._limit_ms:
                return contract.CarryOn(
                    f'{seen}; no more than {self._limit_ms} ms is allowed'
                )
            self._limit_ms = wanted
            return contract.RaiseDowntime(seen, wanted)
        if item.post_copy:
            return self._end(f'{seen} at the end of the schedule')
        return contract.GiveUp(f'{seen} at the end of the schedule')

    def _end(self, why: str) -> contract.Decision:
        if self._post_copy:
            return contract.StartPostCopy(why)
        if self._options.post_copy:
            return contract.GiveUp(f'{why}; post-copy was refused')
        return contract.GiveUp(f'{why}; {self.no_post_copy}')
