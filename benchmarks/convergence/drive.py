"""One migration, from its request to its end, in virtual time."""

import collections.abc
import dataclasses
import math

from benchmarks.convergence import cases
from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import course
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.model import plan
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import scene
from kvm_balancer.virt.simulated import world as worlds

_ALL = ownership.Manage(ownership.Rule.ALL)

SWITCHED, POST_COPY, GIVEN_UP = 'switched', 'post-copy', 'given up'
#: What nobody has ended by then never ends.
STUCK = 'stuck'
_LONGEST_SECONDS = 20000.0


@dataclasses.dataclass(frozen=True)
class Pass:
    """The end of one pass."""

    at: float
    left_mib: float
    throttle_percent: int


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a migration went; seconds are from the first byte on.

    :ivar decided_at: when post-copy was asked for, or it was given up;
        infinite where it was neither
    :ivar sent_off: post-copy was asked for
    :ivar stopped: the guest stood still already when it was decided
    """

    end: str
    seconds: float
    downtime_ms: float
    passes: tuple[Pass, ...]
    decided_at: float
    reason: str
    sent_off: bool = False
    stopped: bool = False

    @property
    def throttle_percent(self) -> int:
        """The highest throttle that was seen."""
        return max((one.throttle_percent for one in self.passes), default=0)


def look_seconds(case: cases.Case) -> float:
    """Return how often the copy is looked at."""
    return max(0.5, case.full_seconds / 40.0)


class _Drive:
    """A machine and the world around it."""

    def __init__(self, case: cases.Case, policy: contract.Convergence) -> None:
        self._case = case
        pace = scene.Pace(
            answer=0.0,
            prepare=0.0,
            progress=look_seconds(case),
        )
        self._world = worlds.World(worlds.Params(pace=pace))
        for name in 'ab':
            self._world.add_host(
                hosts.HostFacts(
                    name,
                    4.0,
                    2.0 * case.guest.memory_mib,
                    migration_mib_s=case.bandwidth_mib_s,
                )
            )
        self._world.add_instance(
            hosts.Instance(
                'g',
                'g',
                1.0,
                case.guest,
                load.Steady(1.0),
                ownership.Marks('g'),
            ),
            'a',
        )
        self._wanted = request.Request(
            case.name,
            'g',
            'a',
            'b',
            worlds.address('b'),
            0.0,
            options=case.options,
            predicted=case.predicted,
        )
        self._machine = machine.Machine(self._wanted, policy)
        self._network = list(case.network)
        self._shares = list(case.shares)
        self._sent_off = self._stopped = False
        self._held: list[tuple[float, events.PassEnded]] = []
        self._passes: list[Pass] = []
        self._decided_at = math.inf
        self._downtime_ms = 0.0

    def run(self) -> Ran:
        self._carry_out(self._machine.begin(0.0))
        while not self._machine.state.ended:
            if self._world.now > _LONGEST_SECONDS:
                return self._ran(STUCK, 'it never ended')
            self._step()
        outcome = self._machine.outcome
        assert outcome is not None
        completed = outcome.outcome == 'completed'
        end = GIVEN_UP
        if completed:
            end = (
                POST_COPY if outcome.mode is plan.Mode.POST_COPY else SWITCHED
            )
        return self._ran(end, outcome.reason or self._machine.story[-1].text)

    def _ran(self, end: str, reason: str) -> Ran:
        return Ran(
            end,
            self._world.now,
            self._downtime_ms,
            tuple(self._passes),
            self._decided_at,
            reason,
            self._sent_off,
            self._stopped,
        )

    def _step(self) -> None:
        due = self._world.next_at
        befalls = min(
            (one[0][0] for one in (self._network, self._shares) if one),
            default=math.inf,
        )
        if befalls > due:
            self._take(self._world.advance(max(due, self._world.now)))
            return
        self._take(self._world.advance(befalls))
        if self._network and self._network[0][0] <= befalls:
            _, mib_s = self._network.pop(0)
            for name in 'ab':
                self._world.set_bandwidth(name, mib_s)
        else:
            _, share = self._shares.pop(0)
            self._tell(
                events.BandwidthShared(
                    at=befalls, cause='another migration', mib_s=share
                )
            )
        self._take(self._world.advance(self._world.now))

    def _take(self, told: collections.abc.Iterable[scene.Told]) -> None:
        for one in told:
            event = one.event
            if isinstance(event, events.PassEnded):
                seen = event.statistics
                self._passes.append(
                    Pass(event.at, seen.remaining_mib, seen.throttle_percent)
                )
                if self._case.late_seconds:
                    self._held.append((event.at, event))
                    continue
            self._tell(event)

    def _tell(self, event: events.Event) -> None:
        if self._held:
            event = self._answer_late(event)
        if isinstance(event, events.JobSettled):
            self._downtime_ms = event.downtime_ms or 0.0
        self._carry_out(self._machine.handle(event))

    def _answer_late(self, event: events.Event) -> events.Event:
        """Tell of the ends of passes that waited for statistics.

        Those come from after the end, and say so in their time only.
        """
        late = self._case.late_seconds
        while self._held and (
            self._held[0][0] + late <= event.at
            or not isinstance(event, events.Progressed)
        ):
            held = self._held.pop(0)[1]
            seen = held.statistics
            if isinstance(event, events.Progressed):
                seen = dataclasses.replace(
                    event.statistics, iteration=seen.iteration
                )
            self._carry_out(
                self._machine.handle(
                    dataclasses.replace(held, statistics=seen)
                )
            )
        return event

    def _carry_out(self, wishes: course.Wishes) -> None:
        for wish in wishes:
            match wish:
                case instructions.ReportProgress() | instructions.Conclude():
                    continue
                case instructions.StartPostCopy() | instructions.Abort():
                    self._decided_at = min(self._decided_at, self._world.now)
                    self._sent_off |= isinstance(
                        wish, instructions.StartPostCopy
                    )
                    self._stopped |= (
                        self._machine.state is states.State.SWITCHOVER
                    )
            self._world.perform('a', self._wanted, _ALL, wish)


def run(case: cases.Case, policy: contract.Convergence) -> Ran:
    """Migrate, and say how it went."""
    return _Drive(case, policy).run()
