"""What a migration is like that can be struck in a phase, and when it is.

Each phase lasts for seconds, so that a fault strikes within it at a random
moment: the guest writes just so much, and the wire carries just so much, that
pre-copy takes its time, or the last memory takes long to send, or only
post-copy brings the guest across. Once the fault has been healed the wire
carries all it can: what follows needs no time for being struck.
"""

import dataclasses

from kvm_balancer.lab import bootsector
from kvm_balancer.lab.faults import contract
from kvm_balancer.migration import request

Phase = contract.Phase


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a phase is brought about.

    :ivar wire_mib_s: what the cables carry until the fault is healed
    :ivar strike_seconds: the fault strikes so long after the phase began, at
        most
    """

    load: bootsector.Load
    wire_mib_s: float
    options: request.Options
    strike_seconds: float


SETTINGS = {
    # A disk of 8 MiB takes 2.7 s.
    Phase.STORAGE: Setting(
        bootsector.Load(0.05, 2.5, 12),
        3.0,
        request.Options(auto_converge=False, max_downtime_ms=250),
        1.5,
    ),
    # Passes of 3, 2, 1.2... s.
    Phase.PRE_COPY: Setting(
        bootsector.Load(0.05, 2.5, 12),
        4.0,
        request.Options(auto_converge=False, max_downtime_ms=250),
        2.5,
    ),
    # A pass of 2 s, and then a stop as long.
    Phase.SWITCHOVER: Setting(
        bootsector.Load(0.05, 24.0, 10),
        5.0,
        request.Options(auto_converge=False, max_downtime_ms=6000),
        0.8,
    ),
    # A pass of 4 s, and then as long for what was written meanwhile.
    Phase.POST_COPY: Setting(
        bootsector.Load(0.05, 40.0, 16),
        4.0,
        request.Options(
            auto_converge=False,
            max_downtime_ms=50,
            post_copy=True,
            post_copy_patience=1.0,
        ),
        1.5,
    ),
}


def reached(phase, looks, source, destination):
    """Say whether both ends, as they were last seen, are in *phase*."""
    here, there = looks[source], looks[destination]
    match phase:
        case Phase.STORAGE:
            return here.state == 'running' and here.disks == 'running'
        case Phase.PRE_COPY:
            return (
                here.state == 'running'
                and here.copying == 'active'
                and here.passes >= 1
            )
        case Phase.SWITCHOVER:
            return here.copying in ('active', 'device', 'pre-switchover') and (
                here.state != 'running'
            )
        case Phase.POST_COPY:
            return there.state == 'running' and 'postcopy' in here.copying
    raise ValueError(phase)
