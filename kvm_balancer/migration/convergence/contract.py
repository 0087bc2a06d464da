"""What a convergence policy promises to the machine of a migration.

A policy is a plugin (entry points ``kvm_balancer.convergence``): a class
called with its options, one object for each migration. It is told the
limits once, and then what the copy looks like; it answers with a decision.
It has no clock and sends nothing: time comes with what it is shown, and the
machine turns its decisions into instructions. The machine also holds the
limits that no policy may break: the downtime that is allowed, post-copy only
where it is, after one full pass and while something goes across, and no end
by abort once it was begun.
"""

import abc
import collections.abc
import dataclasses
from typing import ClassVar

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import manner as manners
from kvm_balancer.model import plan


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Base of all decisions.

    :ivar reason: one line with figures, for the story and the operator
    """

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class CarryOn(Decision):
    """Leave the copy as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class RaiseDowntime(Decision):
    """Let the switch take longer, up to what the guest is allowed."""

    downtime_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class StartPostCopy(Decision):
    """Run the guest on the destination now; there is no way back.

    Put off while nothing goes across, so that a policy says it again for as
    long as it means it.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp(Decision):
    """End the migration; the guest stays on the source."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a migration begins with.

    :ivar options: the request's options, with the throttle's steps settled
    :ivar downtime_ms: the limit of downtime to begin with
    """

    options: request.Options
    downtime_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """Options of a policy; one with options derives its own."""


class Convergence(abc.ABC):
    """Decides over the convergence of one migration."""

    #: the class its options are kept in
    params_class: ClassVar[type[Params]] = Params
    #: why there is none, in words, where the options do not grant it
    no_post_copy: str = 'post-copy is not allowed'

    def __init__(self, params: Params | None = None) -> None:
        self.params = self.params_class() if params is None else params

    @abc.abstractmethod
    def begin(
        self,
        options: request.Options,
        predicted: plan.Prediction | None,
        at: float,
    ) -> Settings:
        """Take the limits in, just before the job is started.

        :param predicted: what was expected of this migration, if anything
        :param at: seconds since the epoch
        """

    @abc.abstractmethod
    def judge(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> Decision:
        """Say what is to be done, now that the copy looks like this.

        :param at: seconds since the epoch
        :param boundary: True when a pass over the memory has just ended:
            only then ``remaining_mib`` says what is really left
        """

    def judge_disks(
        self,
        statistics: events.Statistics,
        disk_mib: collections.abc.Collection[float],
        at: float,
    ) -> Decision:
        """Say whether to go on while disks are copied, before the memory.

        Once it is the memory's turn, the policy begins again.

        :param disk_mib: size of each of them; empty where that is not known
        :param at: seconds since the epoch
        """
        return CarryOn('disks are copied before the memory')

    @property
    def manner(self) -> manners.Manner:
        """What predictions have to know of it."""
        return manners.ADAPTIVE

    def bandwidth_limited(self, mib_s: int, at: float) -> None:  # noqa: B027
        """Take note that the stream may use so much from now on.

        Migrations share what their hosts carry: a stream that got slower
        for that is no fault of the network, and one that got faster no
        surprise.

        :param mib_s: MiB/s; 0 for all there is
        :param at: seconds since the epoch
        """

    def link_shared(self, streams: int, at: float) -> None:  # noqa: B027
        """Take note that so many streams share the link from now on.

        What it carries may be less than is known, and what one stream got
        alone is then no measure of what it gets among others.

        :param streams: itself among them
        :param at: seconds since the epoch
        """

    def post_copy_refused(self, reason: str) -> None:  # noqa: B027
        """Take note that the hypervisor would not start post-copy."""
