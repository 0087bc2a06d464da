"""One look at a host and all of its domains.

One bulk call with ``NOWAIT``: without it an incoming domain holds every
query up for 30 s ("cannot acquire state change lock"). What a domain is,
rather than does, comes from the :mod:`.domains` book.
"""

import dataclasses
import threading
import time
from typing import Any

from kvm_balancer.migration.options import wishes
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.virt import driver
from kvm_balancer.virt import host_readings
from kvm_balancer.virt import meters
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import bulk
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import domains
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import statistics

#: A sample waits so long for the XML of domains that it has not seen yet;
#: those that take longer count as not managed until the next one.
_XML_PATIENCE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """One instance in the order of the columns of a sample."""

    id: str
    name: str
    owner: str
    state: str
    vcpus: float
    memory_mib: float
    disk_gib: float
    cpu_usage: float
    cpu_steal: float
    memory_usage_mib: float
    network_rx_mib_s: float
    network_tx_mib_s: float
    block_read_mib_s: float
    block_write_mib_s: float
    asks: wishes.Wishes
    withheld: str
    # The last window's rate, whoever asked for it, tells too little: the
    # executor's own measurements fill these in.
    dirty_rate_mib_s: float = 0.0
    hot_set_mib: float = 0.0
    cold_rate_mib_s: float = 0.0


class Sampler:
    """Reads one host, again and again; one thread at a time."""

    def __init__(
        self,
        link: connection.Connection,
        book: domains.DomainBook,
        source: host_readings.Source,
        manage: ownership.Manage,
    ) -> None:
        self._link = link
        self._bulk = bulk.BulkCall(link)
        self._book = book
        self._source = source
        self._manage = manage
        self._meters = meters.Meters()
        self._identity: identity.HostIdentity | None = None
        #: last told values of what may be missing from an answer
        self._kept: dict[str, statistics.DomainStatistics] = {}
        self._lock = threading.Lock()

    def forget_host(self) -> None:
        """Ask again what the host is: the connection is a new one."""
        self._identity = None

    def read(self) -> driver.Reading:
        """Take one reading.

        :raises HypervisorUnreachable: when libvirt does not answer
        :raises ConfigurationError: when the host's own readings are missing
        """
        with self._lock:
            records = self._bulk.ask()
            self._meters.begin(time.monotonic())
            taken_at = time.time()
            host = self._source.read()
            told = self._identity or self._link.call(identity.identify)
            self._identity = told
            instances = self._instances(records)
            return driver.Reading(
                taken_at=taken_at,
                interval_seconds=self._meters.interval_seconds,
                usage=host_readings.host_usage(host, instances),
                instances=instances,
                cpus=host.cpus,
                memory_mib=host.memory_mib,
                cpu_model=told.cpu_model,
                hypervisor_version=told.hypervisor_version,
                library_version=told.library_version,
            )

    def _instances(self, records: bulk.Records) -> sample.InstanceUsages:
        read = [
            (domain, statistics.read_domain(fields))
            for domain, fields in records
        ]
        leaving = self._book.leaving()
        states = {
            domain.UUIDString(): statistics.sample_state(
                one, domain.UUIDString() in leaving
            )
            for domain, one in read
        }
        self._book.forget_all_but(states)
        # An incoming domain may not answer before it has arrived.
        entries = self._book.look_up(
            [uuid for uuid, state in states.items() if state != 'incoming'],
            _XML_PATIENCE_SECONDS,
        )
        rows = []
        for domain, one in read:
            uuid = domain.UUIDString()
            rows.append(
                self._row(domain, one, states[uuid], entries.get(uuid))
            )
        self._kept = {uuid: self._kept[uuid] for uuid in states}
        return _columns(rows)

    def _row(
        self,
        domain: Any,
        now: statistics.DomainStatistics,
        state: str,
        entry: domains.Entry | None,
    ) -> _Row:
        uuid = domain.UUIDString()
        # A domain that was started anew has another id, and its counters
        # began with it.
        life = f'{uuid}/{domain.ID()}'
        told = _filled(now, self._kept.get(uuid))
        self._kept[uuid] = told
        owner, withheld = owners.Owner.NONE, owners.Withheld.NOT
        if entry is not None:
            owner, withheld = ownership.told(entry.marks, self._manage)

        def rate(name: str) -> float:
            return self._meters.rate(life, name, getattr(now, name))

        return _Row(
            id=uuid,
            name=domain.name(),
            owner=str(owner),
            state=state,
            vcpus=told.vcpus or 0.0,
            memory_mib=told.memory_mib or 0.0,
            disk_gib=told.disk_gib or 0.0,
            cpu_usage=rate('cpu_seconds'),
            cpu_steal=rate('steal_seconds'),
            memory_usage_mib=statistics.memory_in_use_mib(
                told, entry is not None and entry.huge_pages
            ),
            network_rx_mib_s=rate('network_rx_mib'),
            network_tx_mib_s=rate('network_tx_mib'),
            block_read_mib_s=rate('block_read_mib'),
            block_write_mib_s=rate('block_write_mib'),
            asks=entry.asks if entry is not None else (),
            withheld=str(withheld),
        )


#: What an answer may be silent about, and stays as it was.
_SIZES = (
    *('vcpus', 'memory_mib', 'memory_used_mib', 'memory_reported'),
    'disk_gib',
)


def _filled(
    now: statistics.DomainStatistics,
    before: statistics.DomainStatistics | None,
) -> statistics.DomainStatistics:
    """Take from *before* the sizes that this answer is silent about.

    With ``NOWAIT`` libvirt leaves out what it would have to wait for.
    """
    if before is None:
        return now
    missing = {
        name: getattr(before, name)
        for name in _SIZES
        if getattr(now, name) is None
    }
    return dataclasses.replace(now, **missing)


def _columns(rows: list[_Row]) -> sample.InstanceUsages:
    columns = {
        field.name: tuple(getattr(row, field.name) for row in rows)
        for field in dataclasses.fields(_Row)
    }
    for name in ('asks', 'withheld'):
        if not any(columns[name]):
            columns[name] = ()
    return sample.InstanceUsages(**columns)
