"""What a simulated host says of itself and its instances. Pure."""

import collections.abc
import dataclasses
import functools

from kvm_balancer.migration import events
from kvm_balancer.migration.foresight import hot_set
from kvm_balancer.migration.options import wishes
from kvm_balancer.model import sample
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import memory

_State = events.EndState

#: Windows in which the guests are taken to have been measured.
_WINDOWS_SECONDS = (1.0, 4.0, 16.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """When a host is read.

    :ivar now: world time, seconds
    :ivar since: when it was read before; None the first time
    :ivar age: world time since the world began, as its loads know it
    :ivar speed: of the world
    """

    now: float
    since: float | None
    age: float
    speed: float


def read_instances(
    host: hosts.Host, when: Moment, manage: ownership.Manage
) -> sample.InstanceUsages:
    """Return the instances of a host as columns.

    The first time usages are not yet known, and 0.
    """
    got = host.share(when.age)
    held = list(host.holdings.values())
    having = [one.instance for one in held]
    wanted = [one.cores(when.age) * _presence(one, when) for one in held]
    writing = [_habit(one.guest, when.speed) for one in having]
    nothing = (0.0,) * len(held)
    told = [ownership.told(one.marks, manage) for one in having]
    withheld = tuple(str(why) for _, why in told)
    return sample.InstanceUsages(
        id=tuple(one.id for one in having),
        name=tuple(one.name for one in having),
        owner=tuple(str(owner) for owner, _ in told),
        state=tuple(_state(one) for one in held),
        vcpus=tuple(one.vcpus for one in having),
        memory_mib=tuple(one.guest.memory_mib for one in having),
        disk_gib=tuple(one.disk_gib for one in having),
        cpu_usage=tuple(cores * got for cores in wanted),
        cpu_steal=tuple(cores * (1.0 - got) for cores in wanted),
        memory_usage_mib=tuple(one.guest.in_use_mib for one in having),
        dirty_rate_mib_s=tuple(one.dirty_rate_mib_s for one in writing),
        network_rx_mib_s=nothing,
        network_tx_mib_s=nothing,
        block_read_mib_s=nothing,
        block_write_mib_s=nothing,
        hot_set_mib=tuple(one.hot_set_mib for one in writing),
        cold_rate_mib_s=tuple(one.cold_rate_mib_s for one in writing),
        asks=_asks(having),
        withheld=withheld if any(withheld) else (),
    )


def _asks(
    having: collections.abc.Sequence[hosts.Instance],
) -> tuple[wishes.Wishes, ...]:
    """Return what each asks of its migrations; no rows where nobody does."""
    if not any(one.asks for one in having):
        return ()
    return tuple(wishes.brief(one.asks) for one in having)


@functools.lru_cache(maxsize=65_536)
def _habit(guest: memory.Guest, speed: float) -> hot_set.HotSet:
    """Say how a guest writes, as if it had just been measured."""
    real = guest.at_speed(speed)
    measured = [
        hot_set.Dirtied(seconds, real.dirtied_mib(seconds))
        for seconds in _WINDOWS_SECONDS
    ]
    return hot_set.fit(measured, guest.in_use_mib)


def _presence(held: hosts.Holding, when: Moment) -> float:
    """Return for which share of the interval an instance was here."""
    if when.since is None or when.now <= when.since:
        return 0.0
    here = when.now - max(held.since, when.since)
    return min(1.0, max(0.0, here / (when.now - when.since)))


def _state(held: hosts.Holding) -> str:
    """Return the word of a sample for what an instance is doing."""
    if held.state is _State.RUNNING:
        return 'outgoing' if held.job_active else 'running'
    if held.state is _State.PAUSED:
        return 'outgoing' if held.job_active else 'paused'
    if held.state in (_State.PAUSED_MIGRATION, _State.POST_COPY):
        return 'incoming' if held.arriving else 'outgoing'
    return 'other'
