"""A plan: moves in a partial order, what they cost and what they bring."""

import dataclasses
import enum

#: an amount that is taken away and is less than this is none
_NOTHING = 1e-9


class Mode(enum.StrEnum):
    """How the memory of an instance got, or will get, across."""

    PRE_COPY = 'pre-copy'
    POST_COPY = 'post-copy'


class Profile(enum.StrEnum):
    """How much it matters that this instance, and no other, goes."""

    #: giving up is cheap: another instance will do
    BALANCE = 'balance'
    #: it must go
    DRAIN = 'drain'


class Ending(enum.StrEnum):
    """How a migration is expected to end."""

    PRE_COPY = 'pre-copy'
    #: pre-copy, of a guest that is slowed down for it
    THROTTLED = 'throttled'
    POST_COPY = 'post-copy'
    #: it does not converge, and the guest stays where it is
    GIVEN_UP = 'given up'


@dataclasses.dataclass(frozen=True, slots=True)
class Uncorrected:
    """What was predicted before past migrations corrected it.

    :ivar copying_seconds: of the total time, what the copy takes
    """

    copying_seconds: float
    downtime_ms: float
    mib: float


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """What one migration is expected to take.

    Of the memory, but for disks that are copied before it: what is learned
    from past migrations is of the memory alone.

    :ivar seconds: total time; until it is given up where it does not
        converge
    :ivar downtime_ms: time in which the guest does not run
    :ivar mib: what goes over the network
    :ivar mode: the mode in which it will end
    :ivar converges: False where it will be given up; None where it is not
        known
    :ivar throttled: the guest will be slowed down
    :ivar fixed_seconds: of the total time, what is no copying
    :ivar uncorrected: what past migrations were not asked about; None where
        they were not asked at all
    :ivar disk_mib: of disks that are copied along, at most
    :ivar disk_seconds: that this takes
    :ivar limit_mib_s: of the bandwidth, by its own options; 0 for none
    :ivar without_post_copy: of one that will end by post-copy, what to expect
        where that turns out not to be had; None where it is not told
    """

    seconds: float
    downtime_ms: float
    mib: float
    mode: Mode = Mode.PRE_COPY
    converges: bool | None = None
    throttled: bool = False
    fixed_seconds: float = 0.0
    uncorrected: Uncorrected | None = None
    disk_mib: float = 0.0
    disk_seconds: float = 0.0
    limit_mib_s: float = 0.0
    without_post_copy: 'Prediction | None' = None

    @property
    def total_seconds(self) -> float:
        """Total time, with that of disks."""
        return self.seconds + self.disk_seconds

    @property
    def total_mib(self) -> float:
        """What goes over the network, disks and memory."""
        return self.mib + self.disk_mib

    @property
    def ending(self) -> Ending | None:
        """How it will end; None where that is not known."""
        if self.converges is None:
            return None
        if not self.converges:
            return Ending.GIVEN_UP
        if self.mode is Mode.POST_COPY:
            return Ending.POST_COPY
        return Ending.THROTTLED if self.throttled else Ending.PRE_COPY


class Reading(enum.StrEnum):
    """What a host can have too much of."""

    CPU = 'cpu'
    #: in use, as measured
    MEMORY = 'memory'
    #: of what may be allocated
    ALLOCATION = 'allocation'
    #: virtual CPUs that wait for a core
    STEAL = 'steal'
    #: stalls: of what wants a core, memory, a disk
    CPU_PRESSURE = 'cpu pressure'
    MEMORY_PRESSURE = 'memory pressure'
    IO_PRESSURE = 'io pressure'

    @property
    def words(self) -> str:
        """What a figure of it is called."""
        return _WORDS[self]


_WORDS = {
    Reading.CPU: 'CPU',
    Reading.MEMORY: 'memory in use',
    Reading.ALLOCATION: 'allocated memory',
    Reading.STEAL: 'steal',
    Reading.CPU_PRESSURE: 'CPU pressure',
    Reading.MEMORY_PRESSURE: 'memory pressure',
    Reading.IO_PRESSURE: 'I/O pressure',
}


class CauseKind(enum.StrEnum):
    """What has to hold still when a move's turn comes."""

    #: its source is to be emptied
    DRAINING = 'draining'
    #: a hard rule of what it moves is broken
    RULE = 'rule'
    #: its source is over a load
    SOURCE_LOAD = 'source load'
    #: any host of its zone is over a load: it makes room for others
    ZONE_LOAD = 'zone load'


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """Why a move is made, where that may cease before its turn comes.

    :ivar load: of the reading, of the kinds that speak of one
    """

    kind: CauseKind
    load: float = 0.0
    reading: Reading = Reading.CPU


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One step of a plan.

    :ivar after: indexes of the moves of the same plan that must have
        completed before this one starts
    :ivar reason: one line for the operator, with figures
    :ivar load_gap: by how much the CPU load of the destination may be over
        that of the source when it has arrived, as planned: at worst, in
        whatever order the moves of the plan are made. A swap or a packing
        wants that. None where the plan does not say.
    :ivar cause: what it is made for; None where nothing is said
    :ivar wished: no filter that is a wish alone speaks against it, as
        planned
    """

    instance: str
    source: str
    destination: str
    prediction: Prediction
    reason: str
    after: tuple[int, ...] = ()
    profile: Profile = Profile.BALANCE
    load_gap: float | None = None
    cause: Cause | None = None
    wished: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class LoadSummary:
    """Spread and peak of the loads over the hosts that count."""

    cpu_stddev: float
    cpu_max: float
    memory_stddev: float
    memory_max: float


@dataclasses.dataclass(frozen=True, slots=True)
class Bound:
    """What is proven under the same constraints; None where nothing is.

    :ivar cpu_max: no plan gets the peak lower
    :ivar cpu_stddev: no plan gets the spread lower
    :ivar moves: no plan reaches the limit or target with fewer moves
    :ivar makespan_seconds: nobody carries these moves out sooner
    """

    cpu_max: float | None = None
    cpu_stddev: float | None = None
    moves: int | None = None
    makespan_seconds: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Purpose:
    """What a policy wants less of, and what a plan takes away of it.

    :ivar policy: whose it is, by name
    :ivar what: there is less of, to be read: ``broken rules``
    :ivar before: how much there is of it without the plan
    :ivar after: with all of it
    :ivar counted: amounts of it are whole numbers
    """

    policy: str
    what: str
    before: float
    after: float
    counted: bool = False

    def amount(self, left: float) -> str:
        """Return an amount of it, to be read."""
        return f'{left:,.{0 if self.counted else 3}f}'

    @property
    def text(self) -> str:
        """What the plan makes of it, in one line."""
        return (
            f'{self.policy}: {self.what} {self.amount(self.before)} -> '
            f'{self.amount(self.after)}'
        )

    def gained(self, left: float) -> float | None:
        """Return the share of all that the plan takes away, 0 to 1.

        Where other policies put back more than was taken away it is 0, and
        1 where there is no more left than when the plan ends.

        :param left: how much there is of it by then
        :returns: None where the plan takes nothing of it away
        """
        whole = self.before - self.after
        if whole <= _NOTHING:
            return None
        return min(1.0, max(0.0, (self.before - left) / whole))


@dataclasses.dataclass(frozen=True, slots=True)
class FrontierPoint:
    """What the first *moves* moves of a plan are worth by themselves.

    :ivar mib: that they copy
    :ivar left: what they leave of the purposes of the plan, in their order
    """

    moves: int
    cpu_stddev: float
    mib: float
    left: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Unplaced:
    """An instance that should have moved and cannot, and why."""

    instance: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class StillHot:
    """A host that stays over its limit under the plan, and why.

    :ivar load: of the reading that it is over a limit of
    """

    host: str
    load: float
    reason: str
    reading: Reading = Reading.CPU


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a policy decided, most useful moves first.

    Every prefix of ``moves`` that ends between units is a plan by itself.

    :ivar purposes: of the policies that made it and have something to tell,
        in their order
    """

    policy: str
    moves: tuple[Move, ...]
    before: LoadSummary
    after: LoadSummary
    bound: Bound = Bound()
    makespan_seconds: float = 0.0
    purposes: tuple[Purpose, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    still_hot: tuple[StillHot, ...] = ()
    #: one line: why the policy acted, or why it did not
    summary: str = ''
    #: plugins that were left out, and why
    warnings: tuple[str, ...] = ()
    #: a limit, or the time for the search, kept it from going further
    cut_short: bool = False
