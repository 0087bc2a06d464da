"""What a migration is like that can be struck in a phase, and when it is.

Each phase lasts for seconds, so that a fault strikes within it at a random
moment: the guest writes just so much, and the wire carries just so much, that
pre-copy takes its time, or the last memory takes long to send, or only
post-copy brings the guest across. Once the fault has been healed the wire
carries all it can: what follows needs no time for being struck.

Between the end of the copying and the end of the migration, the libvirtds of
the two hosts settle who runs it: the source tells the destination to start it
(libvirt's *Finish*), hears that it did, and ends its own copy. That takes
milliseconds; so what they say is held back there until the fault has struck.
"""

import collections.abc
import contextlib
import dataclasses
import pathlib

from kvm_balancer import errors
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import hosts
from kvm_balancer.lab import network
from kvm_balancer.lab.faults import contract
from kvm_balancer.migration import request

Phase = contract.Phase

_LIBVIRT_PORT = 16509

#: QEMU's words for a copy that waits to be started.
_NOT_STARTED = ('paused', 'inmigrate')
#: how libvirt's status of a domain names the phase after the copying
_COPIED = "phase='perform3_done'"


def hold_order(source: hosts.Host, destination: hosts.Host) -> None:
    """Hold back what the source's libvirtd says to the destination's."""
    network.hold(
        source.holder, _LIBVIRT_PORT, destination.address, answers=False
    )


def hold_answer(source: hosts.Host, destination: hosts.Host) -> None:
    """Hold back what the destination's libvirtd says to the source's."""
    network.hold(
        destination.holder, _LIBVIRT_PORT, source.address, answers=True
    )


def lose_order(
    source: hosts.Host, destination: hosts.Host, libvirtd: int
) -> None:
    """Lose what the source's libvirtd has said to the destination's."""
    network.lose(source.holder, libvirtd, _LIBVIRT_PORT, destination.address)


def is_ordered(source: hosts.Host, guest: str) -> bool:
    """Say whether the source's libvirtd has told the other to start a guest.

    It notes down before that it has copied all there is: ended before it has,
    it takes the migration back by itself when it comes again.
    """
    noted = pathlib.Path(
        f'/proc/{source.holder}/root/run/libvirt/qemu/{guest}.xml'
    )
    with contextlib.suppress(FileNotFoundError):
        return _COPIED in noted.read_text()
    return False


def release(fleet: collections.abc.Iterable[hosts.Host]) -> None:
    """Hold nothing back any more, of hosts that are up."""
    for host in fleet:
        with contextlib.suppress(errors.LabError):
            network.release(host.holder)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a phase is brought about.

    :ivar wire_mib_s: what the cables carry until the fault is healed
    :ivar strike_seconds: the fault strikes so long after the phase began, at
        most
    :ivar hold: holds something back from the switchover on, so that the
        phase comes and lasts; the wire is free then
    """

    load: bootsector.Load
    wire_mib_s: float
    options: request.Options
    strike_seconds: float
    hold: collections.abc.Callable[[hosts.Host, hosts.Host], None] | None = (
        None
    )


#: A pass of 2 s, and then a stop as long.
_STOPPING = Setting(
    bootsector.Load(0.05, 24.0, 10),
    5.0,
    request.Options(auto_converge=False, max_downtime_ms=6000),
    0.8,
)

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
    Phase.SWITCHOVER: _STOPPING,
    # Well before a keepalive notices.
    Phase.HANDOVER: dataclasses.replace(
        _STOPPING, strike_seconds=1.2, hold=hold_order
    ),
    Phase.STARTED: dataclasses.replace(
        _STOPPING, strike_seconds=1.2, hold=hold_answer
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
        case Phase.HANDOVER:
            return _is_sent(here) and there.state in _NOT_STARTED
        case Phase.STARTED:
            return _is_sent(here) and there.state == 'running'
        case Phase.POST_COPY:
            return there.state == 'running' and 'postcopy' in here.copying
    raise ValueError(phase)


def _is_sent(look):
    """Say whether the source has sent everything, and still has its copy."""
    return look.state == 'postmigrate' and look.copying == 'completed'
