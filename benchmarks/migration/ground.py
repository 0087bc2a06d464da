"""Where the benchmarks migrate: two real hosts, and guests that are full.

Everything stands on one machine. The link between the hosts is limited by
``tc`` on their cables, so that storage and what the two libvirts say to each
other are on the same wire as the memory, as they are in life. Whoever
measures stands on the source host, as an executor does: it reaches that
host's libvirtd past the wire.
"""

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
import threading
import time
from typing import Any
import uuid

import libvirt

from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import guests
from kvm_balancer.lab import hosts
from kvm_balancer.virt.libvirt import connection

#: What a guest of the benchmarks has, and what of it is filled: the rest is
#: left to the firmware, or never touched.
MEMORY_MIB = 512
FILLED_MIB = 480

#: What Ethernet, IP and TCP leave of a link: the usable bandwidth that
#: [host] migration_mib_s has to name.
PAYLOAD = 0.957

#: Slow enough to be nothing, and quick enough to be seen to run.
IDLE = bootsector.Load(cpu=0.0, dirty_mib_s=0.25, working_set_mib=1)

#: Fast enough to go over all memory of a guest in a moment.
_FILLING_MIB_S = 1000.0

#: The guest stopped on the source, or runs on the destination, and its
#: memory follows.
_POST_COPY = (
    (
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY,
    ),
    (
        libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY,
    ),
)

#: The final figures of a job may come after the call that carried it.
_SETTLE_SECONDS = 5.0


def missing(*more: str) -> str | None:
    """Say what is missing on this machine; None when nothing is."""
    if os.geteuid():
        return 'namespaces and tc need root'
    for program in (
        'libvirtd',
        'virsh',
        'qemu-system-x86_64',
        'qemu-nbd',
        'ip',
        'tc',
        *more,
    ):
        if not shutil.which(program):
            return f'{program} is not installed'
    return None


def local_uri(host: hosts.Host) -> str:
    """Return where a host's libvirtd answers who stands on that host."""
    path = f'/proc/{host.holder}/root/run/libvirt/libvirt-sock'
    return f'qemu+unix:///system?socket={path}'


class Ground:
    """Two hosts, the link between them, and guests.

    :param lab: up
    """

    def __init__(self, lab: fleet.Lab) -> None:
        self.lab = lab
        #: guests that found their memory damaged
        self.damaged: set[str] = set()
        self._where: dict[str, int] = {}
        self._uris = [local_uri(host) for host in lab.hosts]
        self._news = threading.Condition()
        self._settled: dict[str, dict[str, Any]] = {}
        self._passes: dict[str, dict[int, float]] = {}
        self._switched: dict[str, float] = {}
        self._links = [
            connection.Connection(uri, on_open=self._listen)
            for uri in self._uris
        ]
        for link in self._links:
            link.call(lambda handle: handle.getLibVersion())

    def close(self) -> None:
        """Let go of both hosts."""
        for link in self._links:
            link.close()

    def limit(self, mib_s: float | None) -> None:
        """Limit the link; None for none."""
        for host in self.lab.hosts:
            host.limit_bandwidth(mib_s)

    # Guests

    def guest(
        self,
        load: bootsector.Load = IDLE,
        memory_mib: int = MEMORY_MIB,
        filled_mib: int = FILLED_MIB,
    ) -> str:
        """Start a guest on the first host, fill its memory, and load it.

        :returns: its uuid
        """
        index = len(self.lab.description.guests)
        made = self.lab.add_guest(
            description.Guest(
                name=f'guest-{index + 1}',
                uuid=str(uuid.uuid4()),
                host=self.lab.hosts[0].name,
                memory_mib=memory_mib,
                load=bootsector.Load(
                    cpu=0.0,
                    dirty_mib_s=_FILLING_MIB_S,
                    working_set_mib=filled_mib,
                    whole_pages=load.whole_pages,
                ),
                storage_port=description.storage_port(index),
            )
        )
        self._where[made.uuid] = 0
        self.load(made.uuid, load)
        return made.uuid

    def load(self, uid: str, load: bootsector.Load) -> None:
        """Give a guest another load, and wait until it bears it.

        A new working set is taken up when a round over the old one ends, so
        that the guest is sped up in between.
        """
        hurried = dataclasses.replace(load, dirty_mib_s=_FILLING_MIB_S)
        self.lab.set_load(self._guest(uid), self.host(uid), hurried)
        self._guest(uid).wait_for_rounds(2)
        self.lab.set_load(self._guest(uid), self.host(uid), load)

    def working_set_mib(self, uid: str) -> int:
        """Return over how much memory a guest writes."""
        return self._guest(uid).description.load.working_set_mib

    def remove(self, uid: str) -> None:
        """End a guest, wherever it is."""
        for link in self._links:
            with contextlib.suppress(Exception):
                link.call(lambda handle: _end(handle, uid))
        del self._where[uid]

    def clear(self) -> None:
        """End all guests, and lift the limit of the link."""
        self.limit(None)
        for uid in list(self._where):
            self.remove(uid)

    def look_after(self, uid: str) -> None:
        """Note when a guest finds its memory not as it had left it."""
        report = self._guest(uid).report()
        if report.damaged or not report.in_order:
            self.damaged.add(uid)

    def _guest(self, uid: str) -> guests.Guest:
        return self.lab.guest(uid)

    # Places

    def host(self, uid: str) -> hosts.Host:
        """Return the host that a guest is on."""
        return self.lab.hosts[self._where[uid]]

    def other(self, uid: str) -> hosts.Host:
        """Return the host that a guest is not on."""
        return self.lab.hosts[1 - self._where[uid]]

    def source_uri(self, uid: str) -> str:
        """Return where the guest is, for who stands there."""
        return self._uris[self._where[uid]]

    def destination_uri(self, uid: str) -> str:
        """Return where it is not, for who stands where it is."""
        return self.other(uid).uri

    def moved(self, uid: str) -> None:
        """Note that a guest has gone to the other host."""
        self._where[uid] = 1 - self._where[uid]

    # What libvirt tells of a job

    def forget(self, uid: str) -> None:
        """Forget the last job of a guest."""
        with self._news:
            self._settled.pop(uid, None)
            self._passes.pop(uid, None)
            self._switched.pop(uid, None)

    def passes(self, uid: str) -> dict[int, float]:
        """Return when each pass of the last job began, ``perf_counter``."""
        with self._news:
            return dict(self._passes.get(uid, {}))

    def switched(self, uid: str) -> float | None:
        """Return when post-copy began in the last job; None: it did not."""
        with self._news:
            return self._switched.get(uid)

    def settled(self, uid: str) -> dict[str, Any]:
        """Return the figures of a guest's last job, as its source had it."""
        with self._news:
            self._news.wait_for(lambda: uid in self._settled, _SETTLE_SECONDS)
            return self._settled.get(uid, {})

    def is_settled(self, uid: str) -> bool:
        """Say whether the figures of a guest's last job are there."""
        with self._news:
            return uid in self._settled

    def _listen(self, handle: connection.Handle) -> list[int]:
        return [
            handle.domainEventRegisterAny(None, event, callback, None)
            for event, callback in (
                (
                    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                    self._on_settled,
                ),
                (
                    libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                    self._on_pass,
                ),
                (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
            )
        ]

    def _on_settled(
        self, _handle: Any, domain: Any, fields: Any, _data: Any
    ) -> None:
        with self._news:
            self._settled[domain.UUIDString()] = dict(fields)
            self._news.notify_all()

    def _on_pass(
        self, _handle: Any, domain: Any, iteration: int, _data: Any
    ) -> None:
        now = time.perf_counter()
        with self._news:
            begun = self._passes.setdefault(domain.UUIDString(), {})
            begun.setdefault(iteration, now)

    def _on_lifecycle(
        self, _handle: Any, domain: Any, event: int, detail: int, _data: Any
    ) -> None:
        now = time.perf_counter()
        if (event, detail) in _POST_COPY:
            with self._news:
                self._switched.setdefault(domain.UUIDString(), now)


def _end(handle: connection.Handle, uid: str) -> None:
    domain = handle.lookupByUUIDString(uid)
    if domain.isActive():
        domain.destroy()
    if domain.isPersistent():
        domain.undefine()


@contextlib.contextmanager
def prepared(services: bool = False) -> collections.abc.Iterator[Ground]:
    """Bring two hosts up, and take them down again.

    :param services: with a broker, an agent that only watches, and the
        executors
    """
    with tempfile.TemporaryDirectory(prefix='kvm-balancer-bench-') as folder:
        lab = fleet.Lab(
            description.describe(
                pathlib.Path(folder) / 'lab',
                f'kb{os.getpid() % 10**6}',
                hosts=2,
                services=services,
            )
        )
        try:
            lab.up(mode='advise')
            made = Ground(lab)
            try:
                yield made
            finally:
                made.close()
        finally:
            lab.down()
