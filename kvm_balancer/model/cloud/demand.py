"""What a server asks of a compute, in the words of Placement.

As Nova's scheduler works it out of a flavor and an image
(``ResourceRequest``, and the prefilter for disabled computes). What is not
understood here is named, so that the server can be left alone.
"""

import collections.abc
import dataclasses
import math
import re

from kvm_balancer.model.cloud import records

VCPU = 'VCPU'
PCPU = 'PCPU'
MEMORY_MB = 'MEMORY_MB'
DISK_GB = 'DISK_GB'

#: Nova gives it to computes whose service is disabled.
DISABLED = 'COMPUTE_STATUS_DISABLED'

_OVERRIDE = 'resources:'
_TRAIT = 'trait:'
_POLICY = 'hw:cpu_policy'
_EMULATOR = 'hw:emulator_threads_policy'
_THREADS = 'hw:cpu_thread_policy'
_HYPERTHREADING = 'HW_CPU_HYPERTHREADING'
_YES = frozenset({'true', '1', 'yes', 'on', 't', 'y'})

#: Requests in numbered groups: of devices, that is.
_GROUPED = re.compile(r'^(resources|trait)[^:]+:')


@dataclasses.dataclass(frozen=True, slots=True)
class Demand:
    """What one server asks for.

    :ivar resources: amounts by resource class
    :ivar riddles: extra specs that were not understood
    """

    resources: tuple[tuple[str, int], ...]
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    riddles: tuple[str, ...] = ()

    def query(self, disabled: bool = False) -> dict[str, str]:
        """Return it as parameters of ``/allocation_candidates``.

        :param disabled: computes that are marked as such will do as well
        """
        wanted = ','.join(f'{name}:{n}' for name, n in self.resources)
        closed = () if disabled else (DISABLED,)
        unwanted = {f'!{name}' for name in (*self.forbidden, *closed)}
        traits = ','.join(sorted(self.required) + sorted(unwanted))
        query = {'resources': wanted, 'required': traits}
        return {name: asked for name, asked in query.items() if asked}


def said(server: records.Server, name: str) -> str:
    """Return what a flavor or an image says; empty where neither does.

    :param name: of the extra spec; that of an image has an underscore
    """
    own = server.flavor.extra_specs.get(name)
    return own or (server.image or {}).get(name.replace(':', '_'), '')


def truth(text: str) -> bool:
    """Read a flag as Nova does."""
    return text.strip().lower() in _YES


def traits(
    servers: collections.abc.Iterable[records.Server],
) -> frozenset[str]:
    """Return the traits that any of *servers* requires or forbids."""
    found: set[str] = set()
    for server in servers:
        if server.flavor.extra_specs or server.image:
            asked = of_server(server)
            found |= asked.required | asked.forbidden
    return frozenset(found)


def of_server(server: records.Server) -> Demand:
    """Return what *server* asks for."""
    flavor = server.flavor
    specs = flavor.extra_specs
    root = 0 if server.from_volume else flavor.root_gib
    swap = math.ceil(flavor.swap_mib / 1024)
    amounts = {
        MEMORY_MB: flavor.memory_mib,
        DISK_GB: root + flavor.ephemeral_gib + swap,
    }
    required: set[str] = set()
    forbidden: set[str] = set()
    riddles: list[str] = []
    for name, value in specs.items():
        if name.startswith(_OVERRIDE) and value.isdecimal():
            amounts[name.removeprefix(_OVERRIDE)] = int(value)
        elif name.startswith(_TRAIT) and value in ('required', 'forbidden'):
            chosen = required if value == 'required' else forbidden
            chosen.add(name.removeprefix(_TRAIT))
        elif _GROUPED.match(name) or name.startswith((_OVERRIDE, _TRAIT)):
            riddles.append(f'{name}={value}')
    policy = said(server, _POLICY)
    if policy == 'dedicated':
        isolated = specs.get(_EMULATOR) == 'isolate'
        amounts.setdefault(PCPU, flavor.vcpus + isolated)
    elif policy == 'mixed':
        amounts.setdefault(PCPU, 1)
        riddles.append(f'{_POLICY}={policy}')
    elif PCPU not in amounts:
        amounts.setdefault(VCPU, flavor.vcpus)
    threads = said(server, _THREADS)
    if threads in ('isolate', 'require'):
        chosen = required if threads == 'require' else forbidden
        chosen.add(_HYPERTHREADING)
    return Demand(
        tuple(sorted((name, n) for name, n in amounts.items() if n > 0)),
        frozenset(required),
        frozenset(forbidden),
        tuple(riddles),
    )
