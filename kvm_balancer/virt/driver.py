"""The contract of a hypervisor driver.

A driver is the thin edge to the hypervisor of one host. It samples it, says
what it has of an instance, and carries out the instructions of migrations
whose source it is. It decides nothing, and it translates every error of its
library into those of :mod:`kvm_balancer.errors`.

All drivers pass the one contract suite in ``tests/contract``.
"""

import abc
import collections.abc
import dataclasses
from typing import Self

from oslo_config import cfg

from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import sample
from kvm_balancer.virt import marks
from kvm_balancer.virt import steady

#: Where a carrier puts the events it sees; called from any thread, and
#: returns at once.
Sink = collections.abc.Callable[[events.Event], None]


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceView:
    """What one host has of one instance.

    :ivar owner: ``balancer``, ``nova`` or ``none``, as in a sample
    :ivar owner_reason: why it is not ours, for the refusal
    :ivar asks: what its metadata asks of its migrations
    :ivar huge_page_kib: size of the huge pages that it is in; 0 for the
        default of its host; None for ordinary memory
    :ivar disk_mib: what is stored of disks that are files, and not known to
        be on a file system that other hosts have
    """

    id: str
    name: str
    owner: str
    owner_reason: str
    end: events.End
    vcpus: float
    memory_mib: float
    asks: wishes.Wishes = ()
    huge_page_kib: int | None = capacity.ORDINARY
    disk_mib: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One look at a host: a sample without its place in a sequence."""

    taken_at: float
    interval_seconds: float
    usage: sample.HostUsage
    instances: sample.InstanceUsages
    cpus: float
    memory_mib: float
    cpu_model: str
    hypervisor_version: str
    library_version: str


class Carrier(abc.ABC):
    """Carries out the instructions of one migration on its source.

    Instructions come one at a time; ``perform`` returns at once and what
    happens is told to the sink as events. After ``close`` no event comes.
    """

    @abc.abstractmethod
    def perform(self, instruction: instructions.Instruction) -> None:
        """Begin to carry *instruction* out; its effect comes as events.

        Knows all of :mod:`..migration.instructions` but those that are for
        the shell.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of both ends. The migration itself is left as it is."""


class Observer(abc.ABC):
    """Sees a migration that others carry out, and changes nothing.

    Told are the events of a job: ``Progressed``, ``PassEnded``,
    ``SourceStopped``, ``PostCopyBegun``, ``PostCopyBroke``, ``JobSettled``,
    ``Noted``; and one ``CallReturned`` when it is over, which says nothing of
    how it ended. Before there is a job it is waited for.
    """

    @abc.abstractmethod
    def close(self) -> None:
        """Look away; no event comes any more."""


class Carriers(abc.ABC):
    """Makes the carriers of migrations: what is asked of any driver."""

    @abc.abstractmethod
    def connect(self) -> None:
        """Reach what carries the migrations.

        :raises UnreachableError: when it does not answer
        """

    @abc.abstractmethod
    def carrier(
        self,
        wanted: request.Request,
        sink: Sink,
        clock: steady.Clock | None = None,
    ) -> Carrier:
        """Make ready to carry out a migration away from its source.

        Touches neither end; nothing happens before the first instruction.

        :param clock: what the events' times are told by, those of a
            hypervisor with a clock of its own as well; None for the driver's
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it; carriers that still run keep theirs."""


class Driver(Carriers):
    """One hypervisor host, from where this process stands."""

    @classmethod
    @abc.abstractmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        """Make the driver that the configuration describes.

        :raises ConfigurationError: when its options do not fit
        """

    @abc.abstractmethod
    def read(self) -> Reading:
        """Look at the host and all of its instances, without waiting.

        One bulk call, whatever the number of instances; never one that a
        migrating instance can hold up.

        :raises HypervisorUnreachable: when it does not answer
        """

    @abc.abstractmethod
    def view(self, instance: str) -> InstanceView:
        """Say what this host has of *instance* (a uuid or a name).

        :raises NotFound: when it has nothing
        :raises HypervisorUnreachable: when it does not answer
        """

    @abc.abstractmethod
    def read_capacity(
        self, directories: collections.abc.Collection[str] = ()
    ) -> capacity.Capacity:
        """Say what memory the host has, and who is in it or about to be.

        Asked while others wait for the answer: never one that an arriving
        instance can hold up.

        :param directories: of images, of whose room is told as well; one
            that the hypervisor makes no images in is left out
        :raises HypervisorUnreachable: when it does not answer
        """

    @abc.abstractmethod
    def welcome(self, options: request.Options) -> tuple[events.Check, ...]:
        """Say whether an instance can come here by these means.

        Answers what can be seen on this host alone, under the names that
        the source's pre-flight has for it: ``post-copy`` and ``tls``, each
        only where it is asked for; and ``locks there``, whether a lock
        manager runs. Nothing is touched.
        """

    @abc.abstractmethod
    def traffic(self, address: str, incoming: bool) -> headroom.Traffic:
        """Say what goes over the interface by which migrations go, one way.

        Never raises: what cannot be told is said there. May take a quarter
        of a second right after the driver was made.

        :param address: where a stream is sent to: another host's, or one of
            this host's own for what comes in
        """

    @abc.abstractmethod
    def interface_mib_s(self, address: str, incoming: bool) -> float | None:
        """Say what the interface of :meth:`traffic` carries, each way.

        Never raises, and asks nothing of the hypervisor.

        :returns: MiB/s, as the interface says of itself; None where it does
            not
        """

    @abc.abstractmethod
    def begin_measuring(self, instance: str, window_seconds: int) -> bool:
        """Begin to measure what an instance dirties within a window.

        Returns at once. The hypervisor may have to hold the instance for a
        moment: not to be asked of one that migrates or is about to.

        :param instance: its uuid
        :param window_seconds: 1 to 60
        :returns: False where it cannot be measured
        :raises NotFound: when it is not here
        :raises HypervisorError: when the hypervisor refuses
        :raises HypervisorUnreachable: when it does not answer
        """

    @abc.abstractmethod
    def dirtied_mib(self, instance: str) -> float | None:
        """Return the memory that got dirty within the last window, in MiB.

        A page that was written twice counts once.

        :returns: None while the window is not over, or nothing is known
        :raises NotFound: when it is not here
        :raises HypervisorUnreachable: when the hypervisor does not answer
        """

    @abc.abstractmethod
    def observe(
        self, instance: str, sink: Sink, clock: steady.Clock | None = None
    ) -> Observer:
        """Watch the next migration of an instance away from this host.

        Whosever it is, and whatever the options: nothing is written, by a
        connection that could not. Returns at once.

        :param instance: its uuid
        :param clock: what the events' times are told by; None for the
            driver's
        """

    @abc.abstractmethod
    def marked(self) -> tuple[marks.Marked, ...]:
        """Return the copies on this host that are marked by a migration.

        Whoever migrates marks the instance before it begins, and takes the
        mark off at the end: what is marked and not migrated was left behind.

        :raises HypervisorUnreachable: when the hypervisor does not answer
        """
