"""The contract of a policy: which objective, and when to act.

A policy has two questions to answer. :meth:`Policy.trigger` says how bad
things are, in one number, and from which level on they are worth acting on;
how long that level must last is not the policy's business (see
:mod:`.hysteresis`). :meth:`Policy.search` makes moves on a workspace until
its objective is reached. :meth:`Policy.purpose` says what the moves of a plan
gain for it. Filters, weighers, cooldowns, limits, order,
predictions and reasons are looked after by the planner.
"""

import abc
import collections.abc
import dataclasses
from typing import ClassVar

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import assembly
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import purposes
from kvm_balancer.planner import workspace


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Options of a policy; a policy with options derives its own.

    Fields are numbers, strings and booleans with defaults: that is how an
    edge makes options of them. ``metadata={'help': ...}`` of a field
    becomes the help of its option.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """How bad things are, and from when on that is worth acting on.

    :ivar level: the worse, the higher
    :ivar start: act once the level has been above this for long enough
    :ivar stop: be content once it is at or under this
    :ivar text: one line with figures for the operator
    :ivar near: where single hosts are what is bad: the level of those that
        are over *start* or not far from it, by name. Each of them waits by
        itself, and from then on
    :ivar lasting: of the hosts, those that every single reading of the last
        while has over *start*: for how many seconds at least, by name
    :ivar pressing: a host is near or over *start*, and over it by what was
        read last: a look soon tells whether it stays so
    """

    level: float
    start: float
    stop: float
    text: str
    near: collections.abc.Mapping[str, float] | None = None
    lasting: collections.abc.Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )
    pressing: bool = False


class Policy(abc.ABC):
    """Decides when to act, and which moves to make."""

    #: the name it is configured by
    name: ClassVar[str]
    #: the class its options are kept in
    params_class: ClassVar[type[Params]] = Params
    #: how much it matters that the very instances go which it chooses
    profile: ClassVar[plan.Profile] = plan.Profile.BALANCE
    #: what has to hold still when the turn of its moves comes
    cause: ClassVar[plan.Cause | None] = None
    #: what it does has to be done, whatever it costs
    mandatory: ClassVar[bool] = False

    def __init__(self, params: Params | None = None) -> None:
        self.params = self.params_class() if params is None else params

    @abc.abstractmethod
    def trigger(self, fleet: columns.Fleet) -> Trigger:
        """Say how bad things are in *fleet*."""

    @abc.abstractmethod
    def search(self, work: workspace.Workspace) -> assembly.Findings:
        """Make moves on *work* until the objective is reached.

        :returns: what was reached, what was not, and why
        """

    def purpose(self, setting: purposes.Setting) -> purposes.Purpose | None:
        """Begin to follow a plan: what of its purpose do its steps fulfil?

        What parts of a plan gain is told by that.

        :returns: None where there is nothing to tell: the spread of CPU load
            is told of every plan
        """
        return None

    def propose(
        self, fleet: columns.Fleet, context: contexts.Context
    ) -> plan.Plan:
        """Make a plan, whether or not the trigger says that it is time."""
        work = workspace.Workspace(fleet, context)
        work.profile, work.cause = self.profile, self.cause
        findings = self.search(work)
        aim = purposes.Aim(self.name, self.purpose, (work.scope,))
        return assembly.assemble(self.name, work, (findings,), (aim,))


def moves(count: int) -> str:
    """Say how many moves a plan makes."""
    return '1 move' if count == 1 else f'{count} moves'
