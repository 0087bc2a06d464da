"""Small simulated worlds in virtual time, driven by hand."""

import math

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.virt import ownership
from kvm_balancer.virt.simulated import hosts
from kvm_balancer.virt.simulated import load
from kvm_balancer.virt.simulated import memory
from kvm_balancer.virt.simulated import scene
from kvm_balancer.virt.simulated import world as worlds

ALL = ownership.Manage(ownership.Rule.ALL)
#: Nothing takes time but the copy itself.
PACE = scene.Pace(answer=0.0, prepare=0.0, switch=0.0, progress=0.0)


def build_world(names='abc', bandwidth=100.0, memory_mib=8192.0, **params):
    """Make a world of hosts without instances."""
    params.setdefault('pace', PACE)
    world = worlds.World(worlds.Params(**params))
    for name in names:
        world.add_host(
            hosts.HostFacts(name, 4.0, memory_mib, migration_mib_s=bandwidth)
        )
    return world


def build_instance(
    name, mib=1000.0, dirty=0.0, working=None, usage=1.0, asks=()
):
    """Make an instance all of whose memory is in use."""
    return hosts.Instance(
        id=f'id-{name}',
        name=name,
        vcpus=4.0,
        guest=memory.Guest(
            mib, mib, dirty, mib if working is None else working
        ),
        load=load.Steady(usage),
        marks=ownership.Marks(name),
        asks=asks,
    )


def build_request(name, source='a', destination='b', **options):
    """Make a request without auto-converge."""
    options.setdefault('auto_converge', False)
    return request.Request(
        migration_id=f'migration of {name}',
        instance=f'id-{name}',
        source=source,
        destination=destination,
        destination_uri=worlds.address(destination),
        accepted_at=0.0,
        options=request.Options(**options),
    )


class Story:
    """One migration in a world, and all that it was told."""

    def __init__(self, world, wanted):
        self.world = world
        self.wanted = wanted
        self.told = []

    def perform(self, *wishes):
        """Give instructions, now."""
        for wish in wishes:
            self.world.perform(self.wanted.source, self.wanted, ALL, wish)
        return self.go_on(self.world.now)

    def go_on(self, to=math.inf):
        """Let time go by until then, or until nothing is due."""
        while self.world.next_at < math.inf and self.world.next_at <= to:
            self._take(self.world.advance(self.world.next_at))
        if to < math.inf:
            self._take(self.world.advance(to))
        return self

    def until(self, kind):
        """Let time go by until something of a kind was told."""
        while not self.has(kind):
            if self.world.next_at == math.inf:
                raise AssertionError(f'no {kind.__name__} in {self.kinds}')
            self._take(self.world.advance(self.world.next_at))
        return self.last(kind)

    def _take(self, told):
        self.told += [
            one.event
            for one in told
            if one.migration_id == self.wanted.migration_id
        ]

    @property
    def kinds(self):
        """The names of what was told, in its order."""
        return [type(one).__name__ for one in self.told]

    def has(self, kind):
        """Say whether something of a kind was told."""
        return any(isinstance(one, kind) for one in self.told)

    def last(self, kind):
        """Return the last of a kind."""
        return [one for one in self.told if isinstance(one, kind)][-1]

    def ends(self):
        """Look at both ends."""
        self.perform(instructions.LookAtEnds()).go_on(self.world.now)
        seen = self.last(events.EndsSeen)
        return seen.source.state, seen.destination.state
