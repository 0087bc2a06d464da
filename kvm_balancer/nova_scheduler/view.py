"""What a scheduler makes of the fleet's last state.

Owns the last state and its age, and asks nobody: a scheduler that waited for
the balancer would be the slower for it. Ages are counted by this process, from
when a state came, so that clocks need not agree.
"""

import collections.abc
import dataclasses
import time

from kvm_balancer.messages import fleet_state
from kvm_balancer.nova_scheduler import placements


@dataclasses.dataclass(frozen=True, slots=True)
class _Held:
    """A state, and when it came; replaced as one, so that no lock is held."""

    hosts: dict[str, fleet_state.HostState]
    came_at: float


class View:
    """The last state, as long as it is fresh.

    :param stale_seconds: age from which the balancer stands aside
    """

    def __init__(
        self,
        stale_seconds: float,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._held: _Held | None = None
        self._placements = placements.Placements(clock)

    def take(self, state: fleet_state.FleetState, came_at: float) -> None:
        """Take a state in; any thread calls it."""
        self._held = _Held(state.hosts, came_at)
        self._placements.settle()

    @property
    def hosts(self) -> dict[str, fleet_state.HostState]:
        """The hosts by name; none where nothing fresh is known."""
        held = self._held
        if held is None:
            return {}
        if self._clock() - held.came_at > self._stale_seconds:
            return {}
        return held.hosts

    def weights(
        self, asked: collections.abc.Sequence[placements.Host]
    ) -> list[float]:
        """Return a weight for each host of a request: more for less load.

        Load is what was measured, what is on its way, and what servers are
        expected to use of which Nova knows more than the last state does. A
        host that is not known weighs as the mean of those that are; where
        none is, all weigh the same.
        """
        hosts = self.hosts
        if not hosts:
            return [0.0] * len(asked)
        vcpus = self._placements.vcpus(asked)
        weights = [
            None
            if (known := hosts.get(one.host)) is None
            else -_load(known, n)
            for one, n in zip(asked, vcpus, strict=True)
        ]
        told = [weight for weight in weights if weight is not None]
        mean = sum(told) / len(told) if told else 0.0
        return [mean if weight is None else weight for weight in weights]

    def closed(self, name: str) -> str:
        """Say why a host gets no new instances; empty where it may."""
        one = self.hosts.get(name)
        return '' if one is None else one.closed

    def gives_way(self, name: str) -> bool:
        """Say whether a closed host may be taken where no other is left."""
        one = self.hosts.get(name)
        return one is not None and one.gives_way


def _load(one: fleet_state.HostState, vcpus: int) -> float:
    """Return the load that is expected of a host with so many vCPUs."""
    load = one.cpu_load + one.arriving_load
    if one.vcpus is not None and vcpus > one.vcpus:
        load += (vcpus - one.vcpus) * one.vcpu_load
    return load
