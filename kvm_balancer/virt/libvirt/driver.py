"""The libvirt driver: one host, from where this process stands."""

import collections.abc
import dataclasses
from typing import Self
import urllib.parse
import uuid as uuids

import libvirt
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.migration import capacity
from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import request
from kvm_balancer.virt import driver
from kvm_balancer.virt import host_readings
from kvm_balancer.virt import links
from kvm_balancer.virt import marks
from kvm_balancer.virt import ownership
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import address
from kvm_balancer.virt.libvirt import arrivals
from kvm_balancer.virt.libvirt import carrier
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import dirtied
from kvm_balancer.virt.libvirt import documents
from kvm_balancer.virt.libvirt import domains
from kvm_balancer.virt.libvirt import ends
from kvm_balancer.virt.libvirt import identity
from kvm_balancer.virt.libvirt import image_rooms
from kvm_balancer.virt.libvirt import leases
from kvm_balancer.virt.libvirt import marking
from kvm_balancer.virt.libvirt import observer
from kvm_balancer.virt.libvirt import occupancy
from kvm_balancer.virt.libvirt import provisions
from kvm_balancer.virt.libvirt import sampling
from kvm_balancer.virt.libvirt import storage


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How one libvirt is reached and what it may be told to move.

    :ivar readings_file: where the host's own readings stand; empty for
        those of this machine's kernel
    :ivar poll_seconds: between two looks at a running migration
    :ivar repeat_announcement: where the network has not heard of a guest
    """

    uri: str = 'qemu:///system'
    manage: ownership.Manage = dataclasses.field(
        default_factory=ownership.Manage
    )
    readings_file: str = ''
    timing: connection.Timing = dataclasses.field(
        default_factory=connection.Timing
    )
    poll_seconds: float = 0.5
    repeat_announcement: bool = True


class LibvirtDriver(driver.Driver):
    """Samples the domains of one libvirt and migrates them away."""

    def __init__(self, params: Params | None = None) -> None:
        self._params = params or Params()
        self._book = domains.DomainBook()
        self._link = connection.Connection(
            self._params.uri, self._params.timing, self._on_open
        )
        self._book.start(self._link)
        self._links = links.Links()
        if self._is_local():
            self._links.start()
        self._sampler = sampling.Sampler(
            self._link, self._book, self._source(), self._params.manage
        )

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Self:
        group = conf.libvirt
        address.check('[libvirt] uri', group.uri)
        if group.peer_uri:
            address.check('[libvirt] peer_uri', group.peer_uri)
        address.check_stream(
            '[host] migration_address', conf.host.migration_address
        )
        if conf.host.readings_file:
            # Later it may be away for a moment, while it is written anew.
            host_readings.FileSource(conf.host.readings_file).read()
        return cls(
            Params(
                uri=group.uri,
                manage=ownership.Manage.from_words(
                    conf.executor.manage,
                    conf.executor.manage_names,
                    conf.nova.dangerous_migrate_behind_nova,
                ),
                readings_file=conf.host.readings_file,
                timing=connection.Timing(
                    open_seconds=group.connect_timeout_seconds,
                    keepalive_seconds=group.keepalive_interval_seconds,
                    keepalive_count=group.keepalive_count,
                ),
                poll_seconds=group.poll_interval_seconds,
                repeat_announcement=group.repeat_announcement,
            )
        )

    def connect(self) -> None:
        self._link.call(lambda handle: handle.getLibVersion())

    def read(self) -> driver.Reading:
        return self._sampler.read()

    def view(self, instance: str) -> driver.InstanceView:
        try:
            return self._link.ask(lambda handle: self._view(handle, instance))
        except errors.NotFound:
            uri = self._params.uri
            where = urllib.parse.urlsplit(uri).hostname or uri
            raise errors.NotFound(
                f'there is no instance {instance!r} on {where}'
            ) from None

    def read_capacity(
        self, directories: collections.abc.Collection[str] = ()
    ) -> capacity.Capacity:
        reading = None
        if self._params.readings_file:
            reading = self._source().read()
        leaving = self._book.leaving()
        found = self._link.ask(
            lambda handle: occupancy.read(
                handle, identity.identify(handle), leaving, reading
            )
        )
        if not directories:
            return found
        local = self._is_local()
        room = self._link.ask(
            lambda handle: image_rooms.read(handle, directories, local)
        )
        return dataclasses.replace(found, directories=room)

    def welcome(self, options: request.Options) -> tuple[events.Check, ...]:
        if not self._is_local():
            return ()
        if not (options.post_copy or options.tls):
            return (leases.there(),)
        told = self._link.ask(
            lambda handle: (
                handle.getCapabilities(),
                handle.getVersion(),
                handle.getHostname(),
            )
        )
        return (leases.there(), *provisions.checks(options, *told))

    def traffic(self, address: str, incoming: bool) -> headroom.Traffic:
        if not self._is_local():
            return headroom.Traffic(trouble='it cannot be seen from here')
        if not incoming:
            seen = self._links.outgoing(address)
            leaving = self._book.leaving()
            return dataclasses.replace(seen, migrations=len(leaving))
        seen = self._links.incoming(address)
        try:
            arriving = self._link.ask(arrivals.arriving_mib)
        except errors.KVMBalancerError as error:
            return headroom.Traffic(seen.interface, trouble=str(error))
        return dataclasses.replace(seen, migrations=len(arriving))

    def interface_mib_s(self, address: str, incoming: bool) -> float | None:
        if not self._is_local():
            return None
        return self._links.speed_mib_s(address, incoming)

    def _is_local(self) -> bool:
        """Say whether this process stands on the host itself."""
        return not urllib.parse.urlsplit(self._params.uri).hostname

    def begin_measuring(self, instance: str, window_seconds: int) -> bool:
        # A window that begins late, as it was left behind, does no harm.
        return self._link.ask(
            lambda handle: dirtied.begin(handle, instance, window_seconds)
        )

    def dirtied_mib(self, instance: str) -> float | None:
        return self._link.ask(lambda handle: dirtied.told(handle, instance))

    def observe(
        self,
        instance: str,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> driver.Observer:
        return observer.LibvirtObserver(
            instance,
            self._params.uri,
            self._params.timing,
            sink,
            self._params.poll_seconds,
            clock or steady.SteadyClock(),
        )

    def marked(self) -> tuple[marks.Marked, ...]:
        return self._link.ask(_marked)

    def carrier(
        self,
        wanted: request.Request,
        sink: driver.Sink,
        clock: steady.Clock | None = None,
    ) -> driver.Carrier:
        if not wanted.destination_uri:
            # libvirt would take it for the hypervisor of this host.
            raise errors.MigrationError(
                f'it is not known how {wanted.destination} is reached: set '
                '[libvirt] peer_uri there'
            )
        return carrier.LibvirtCarrier(
            wanted,
            sink,
            self._params.uri,
            self._params.manage,
            self._params.timing,
            self._params.poll_seconds,
            local=self._is_local(),
            clock=clock or steady.SteadyClock(),
            repeat_announcement=self._params.repeat_announcement,
        )

    def close(self) -> None:
        self._links.close()
        self._book.close()
        self._link.close()

    def _source(self) -> host_readings.Source:
        if self._params.readings_file:
            return host_readings.FileSource(self._params.readings_file)
        return host_readings.KernelSource()

    def _on_open(self, handle: connection.Handle) -> list[int]:
        self._sampler.forget_host()
        return self._book.listen(handle)

    def _view(
        self, handle: connection.Handle, instance: str
    ) -> driver.InstanceView:
        if _is_uuid(instance):
            domain = handle.lookupByUUIDString(instance)
        else:
            domain = handle.lookupByName(instance)
        facts = documents.read_domain(domain.XMLDesc(0))
        owner, reason = ownership.owner_of(facts.marks, self._params.manage)
        return driver.InstanceView(
            id=facts.uuid,
            name=facts.name,
            owner=str(owner),
            owner_reason=reason,
            end=ends.read_end(domain),
            vcpus=facts.vcpus,
            memory_mib=facts.memory_mib,
            asks=facts.asks,
            huge_page_kib=facts.memory.claimed_kib,
            disk_mib=storage.local_mib(domain, facts, self._is_local()),
        )


def _marked(handle: connection.Handle) -> tuple[marks.Marked, ...]:
    found = []
    for domain in handle.listAllDomains(0):
        try:
            mark = marking.read(domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            # it went while the others were read
            continue
        if mark is not None:
            found.append(marks.Marked(domain.UUIDString(), mark))
    return tuple(found)


def _is_uuid(text: str) -> bool:
    try:
        uuids.UUID(text)
    except ValueError:
        return False
    return True
