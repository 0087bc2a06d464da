"""The contract of a source of metrics.

A source says what it knows of hosts and instances now. What it does not know
it leaves out, or leaves None: nobody takes that for zero. Sources are asked
in order, and each figure is the first one's that has it.
"""

import abc
import collections.abc
import dataclasses
from typing import ClassVar
from typing import Self
from typing import TypeVar

from oslo_config import cfg

from kvm_balancer.messages import nova_notifications


@dataclasses.dataclass(frozen=True, slots=True)
class HostFigures:
    """What a source knows of one host.

    :ivar cpu_share: of all of its CPUs in use, 0.0 to 1.0
    :ivar memory_free_mib: available to new allocations
    """

    cpu_share: float | None = None
    memory_free_mib: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceFigures:
    """What a source knows of one instance.

    :ivar cpu_usage: cores in use
    :ivar memory_usage_mib: what a migration has to copy
    """

    cpu_usage: float | None = None
    memory_usage_mib: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """What is known at one moment: hosts by name, instances by uuid."""

    hosts: collections.abc.Mapping[str, HostFigures] = dataclasses.field(
        default_factory=dict
    )
    instances: collections.abc.Mapping[str, InstanceFigures] = (
        dataclasses.field(default_factory=dict)
    )


Kind = TypeVar('Kind', HostFigures, InstanceFigures)


class MetricSource(abc.ABC):
    """Knows figures of hosts and instances."""

    #: the name it is configured by
    name: ClassVar[str]

    @classmethod
    @abc.abstractmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        """Make the source that the configuration describes.

        :raises ConfigurationError: when its options do not fit
        """

    @abc.abstractmethod
    def read(self, now: float) -> Figures:
        """Say what is known now.

        :param now: seconds since the epoch
        :raises UnreachableError: when it does not answer
        """

    def take(  # noqa: B027 - most have no use for it
        self, news: nova_notifications.News
    ) -> None:
        """Take a notification of Nova; any thread calls it."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of whatever it holds."""


def merged(found: collections.abc.Iterable[Figures]) -> Figures:
    """Return figures of several sources: of each figure, the first."""
    hosts: dict[str, HostFigures] = {}
    instances: dict[str, InstanceFigures] = {}
    for one in found:
        for name, host in one.hosts.items():
            hosts[name] = _filled(hosts.get(name), host)
        for uid, instance in one.instances.items():
            instances[uid] = _filled(instances.get(uid), instance)
    return Figures(hosts, instances)


def _filled(before: Kind | None, later: Kind) -> Kind:
    if before is None:
        return later
    missing = {
        field.name: getattr(later, field.name)
        for field in dataclasses.fields(before)
        if getattr(before, field.name) is None
    }
    return dataclasses.replace(before, **missing)
