"""The ways to migrate that are compared: ours, and a bare ``virsh``.

Both are told to leave the source's definition for the destination, and are
timed by the same clock in the same process: ours from the start of the
runner to the outcome, which includes pre-flight and the look at both ends;
virsh from the start of its process to its end.
"""

import collections.abc
import dataclasses
import subprocess
import time
from typing import Any
import uuid

from benchmarks.migration import ground
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome as outcomes
from kvm_balancer.model import plan
from kvm_balancer.service import migrations
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import driver
from kvm_balancer.virt.libvirt import jobs

_TIMEOUT_SECONDS = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One migration that has ended.

    :ivar seconds: as whoever asked for it waited
    :ivar copied: what the hypervisor says of the job
    :ivar downtime_ms: None where it was not told
    :ivar outcome: our own record; None for virsh
    :ivar seen: what was reported on the way; nothing for virsh
    """

    seconds: float
    copied: events.Statistics
    downtime_ms: float | None
    outcome: outcomes.Outcome | None = None
    seen: tuple[events.Statistics, ...] = ()


def ours(
    place: ground.Ground,
    uid: str,
    options: request.Options | None = None,
    predicted: plan.Prediction | None = None,
) -> Run:
    """Migrate as ``kvm-balancer migrate`` does.

    :raises RuntimeError: when it does not complete
    """
    ended: list[outcomes.Outcome] = []
    seen: list[events.Statistics] = []
    hypervisor = open_driver(place, uid)
    try:
        hypervisor.connect()
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=uid,
            source='source',
            destination='destination',
            destination_uri=place.destination_uri(uid),
            accepted_at=time.time(),
            options=options or request.Options(),
            predicted=predicted,
        )
        place.forget(uid)
        runner = migrations.MigrationRunner(
            hypervisor,
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda _, report: seen.append(report.statistics),
            ended.append,
        )
        began = time.perf_counter()
        runner.start()
        if not runner.wait(_TIMEOUT_SECONDS):
            raise RuntimeError('it does not end')
        seconds = time.perf_counter() - began
    finally:
        hypervisor.close()
    if not ended:
        raise RuntimeError('it broke off without an outcome')
    if ended[0].outcome is not outcomes.OutcomeKind.COMPLETED:
        told = '\n'.join(f'  {line.text}' for line in ended[0].story)
        raise RuntimeError(f'{ended[0].reason}\n{told}')
    return dataclasses.replace(
        _run(place, uid, seconds), outcome=ended[0], seen=tuple(seen)
    )


def open_driver(place: ground.Ground, uid: str) -> driver.LibvirtDriver:
    """Return a driver of the host that a guest is on."""
    return driver.LibvirtDriver(
        driver.Params(uri=place.source_uri(uid), manage=ownership.BY_HAND)
    )


def bare(
    place: ground.Ground,
    uid: str,
    more: collections.abc.Sequence[str] = (),
) -> Run:
    """Migrate with ``virsh migrate``.

    :param more: of its options
    :raises RuntimeError: when it fails
    """
    place.forget(uid)
    began = time.perf_counter()
    done = subprocess.run(
        [
            'virsh',
            '--quiet',
            f'--connect={place.source_uri(uid)}',
            'migrate',
            '--live',
            '--p2p',
            '--persistent',
            '--undefinesource',
            *more,
            uid,
            place.destination_uri(uid),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return _run(place, uid, seconds)


def _run(
    place: ground.Ground,
    uid: str,
    seconds: float,
) -> Run:
    fields: dict[str, Any] = place.settled(uid)
    place.moved(uid)
    place.look_after(uid)
    return Run(
        seconds=seconds,
        copied=jobs.read_statistics(fields),
        downtime_ms=jobs.downtime_ms(fields),
    )
