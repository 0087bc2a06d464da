"""The state of the fleet, told at intervals to those who place instances."""

import collections.abc
import logging

import numpy as np

from kvm_balancer.messages import fleet_state
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.model.cloud import records
from kvm_balancer.service import background

LOG = logging.getLogger(__name__)

#: The broker may keep what is being told for longer than anybody waits.
_PATIENCE_SECONDS = 10.0

#: Moves that are planned and not yet begun, and the instances in the air with
#: their destinations.
Expected = collections.abc.Callable[[], list[plans.Move]]

#: What a vCPU may use, and is taken to where none was measured.
_WHOLE_CORE = 1.0


def state_of(
    fleet: columns.Fleet,
    expected: collections.abc.Iterable[plans.Move],
    cloud: records.Cloud,
) -> fleet_state.FleetState:
    """Return what schedulers are told of *fleet*.

    :param expected: moves that are planned or under way
    :param cloud: what Nova knows; empty where that is not known
    """
    vcpus = _accounted(fleet, cloud)
    vcpu_load = _vcpu_cores(fleet) / fleet.hosts.cpus
    arriving = np.zeros(len(fleet.hosts))
    relieved: set[str] = set()
    for move in expected:
        relieved.add(move.source)
        row = fleet.instance_row.get(move.instance)
        there = fleet.host_row.get(move.destination)
        if row is None or there is None:
            continue
        if fleet.instances.host[row] != there:
            used = fleet.instances.cpu_usage[row]
            arriving[there] += used / fleet.hosts.cpus[there]
    return fleet_state.FleetState(
        taken_at=fleet.taken_at,
        hosts={
            name: fleet_state.HostState(
                float(fleet.cpu_load[row]),
                float(arriving[row]),
                *_closed(int(fleet.hosts.state[row]), name in relieved),
                vcpus.get(name),
                float(vcpu_load[row]),
            )
            for row, name in enumerate(fleet.hosts.name)
            if not fleet.hosts.silent[row]
        },
    )


def _closed(state: int, relieved: bool) -> tuple[str, bool]:
    """Say why a host is closed, and whether it gives way."""
    if state == columns.HostState.DRAINING:
        return 'it is being drained', False
    return ('it is being relieved', True) if relieved else ('', False)


def _accounted(fleet: columns.Fleet, cloud: records.Cloud) -> dict[str, int]:
    """Return vCPUs of servers whose load is known, by compute.

    Nova has a server long before its host tells what it uses: what runs uses
    something. One that does not run is known to use nothing.
    """
    measured = (fleet.instances.cpu_usage > 0).tolist()
    found = dict.fromkeys(cloud.computes, 0)
    for uid, server in cloud.servers.items():
        row = fleet.instance_row.get(uid)
        known = row is not None and measured[row]
        if server.host in found and (known or not server.runs):
            found[server.host] += server.flavor.vcpus
    return found


def _vcpu_cores(fleet: columns.Fleet) -> float:
    """Return what a vCPU uses, in the mean of the fleet."""
    vcpus = float(fleet.instances.vcpus.sum())
    if not vcpus:
        return _WHOLE_CORE
    return float(fleet.instances.cpu_usage.sum()) / vcpus


class Announcer:
    """Tells it, in a thread of its own.

    :param snapshot: returns the fleet as it is now
    :param cloud: returns what is known of Nova's
    :param send: hands a state to the broker
    """

    def __init__(
        self,
        snapshot: collections.abc.Callable[[], columns.Fleet],
        expected: Expected,
        cloud: collections.abc.Callable[[], records.Cloud],
        send: collections.abc.Callable[[fleet_state.FleetState], object],
        interval_seconds: float,
    ) -> None:
        self._snapshot = snapshot
        self._expected = expected
        self._cloud = cloud
        self._send = send
        self._interval_seconds = interval_seconds
        self._background = background.Background(
            'announcer', self._run, _PATIENCE_SECONDS
        )

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._background.start()

    def stop(self) -> None:
        """End after what is being told."""
        self._background.stop()

    def _run(self) -> None:
        while self._background.pause(self._interval_seconds):
            try:
                fleet, expected = self._snapshot(), self._expected()
                self._send(state_of(fleet, expected, self._cloud()))
            except Exception:
                LOG.exception('The state of the fleet could not be told')
