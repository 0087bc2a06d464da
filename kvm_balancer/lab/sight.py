"""Both ends of a migration, watched throughout.

A copy runs when its QEMU says so, asked by a way that no fault cuts
(:mod:`kvm_balancer.lab.monitor`). The two ends are never seen at one moment;
so a guest ran twice when one end ran before and after the other was seen to
run. Owns the watching and that rule; what should be is for others to say.
"""

import collections.abc
import dataclasses
import threading
import time

from kvm_balancer import errors
from kvm_balancer.lab import guests
from kvm_balancer.lab import hosts
from kvm_balancer.lab import monitor

#: Between two looks, where QEMU answers at once.
_PAUSE_SECONDS = 0.01

RUNNING = 'running'
ABSENT = 'absent'
SILENT = 'silent'


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What one end said.

    :ivar at: seconds since the watch began
    :ivar state: QEMU's word for it (``running``, ``inmigrate``,
        ``postmigrate``...), ``absent`` or ``silent``
    :ivar copying: QEMU's word for the migration; empty for none
    :ivar passes: begun over the memory
    :ivar disks: QEMU's word for the copying of the disks (``running``,
        ``ready``...); empty for none
    """

    at: float
    host: str
    state: str
    copying: str = ''
    passes: int = 0
    disks: str = ''


def ran_twice(looks: collections.abc.Iterable[Look]) -> list[float]:
    """Return when a guest ran at two hosts, by looks at one after another.

    :returns: the times of the looks in the middle
    """
    found = []
    last: list[Look] = []
    for look in looks:
        last = [*last[-2:], look]
        if len(last) < 3:
            continue
        before, middle, after = last
        if before.host == after.host != middle.host and {
            one.state for one in last
        } == {RUNNING}:
            found.append(middle.at)
    return found


class Watch:
    """Watches one guest at two hosts, until it is left.

    :ivar looks: what was seen, where it differed from before, and each look
        at a copy that runs beside another
    """

    def __init__(
        self, guest: guests.Guest, ends: collections.abc.Sequence[hosts.Host]
    ) -> None:
        self._guest = guest
        self._ends = tuple(ends)
        self._began = time.monotonic()
        self._leaving = threading.Event()
        self._seen = threading.Condition()
        self._now: dict[str, Look] = {}
        self.looks: list[Look] = []
        self.twice: list[float] = []
        self.count = 0
        self._thread = threading.Thread(
            target=self._run, name='sight', daemon=True
        )

    def __enter__(self) -> 'Watch':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    def now(self) -> dict[str, Look]:
        """Return the last look at each end, by host."""
        with self._seen:
            return dict(self._now)

    def wait(
        self,
        wanted: collections.abc.Callable[[dict[str, Look]], bool],
        seconds: float,
    ) -> bool:
        """Wait until the last looks at both ends are as *wanted*."""
        with self._seen:
            return self._seen.wait_for(
                lambda: (
                    len(self._now) == len(self._ends) and wanted(self._now)
                ),
                seconds,
            )

    def has_run_at(self, name: str) -> bool:
        """Say whether a copy was seen to run at the host of this name."""
        with self._seen:
            return any(
                look.host == name and look.state == RUNNING
                for look in self.looks
            )

    def _run(self) -> None:
        asked = {end.name: _End(end, self._guest) for end in self._ends}
        last: list[Look] = []
        while not self._leaving.is_set():
            for name, end in asked.items():
                look = end.look(time.monotonic() - self._began)
                last = [*last[-2:], look]
                with self._seen:
                    before = self._now.get(name)
                    self._now[name] = look
                    self.count += 1
                    self.twice += ran_twice(last)
                    if before is None or _differ(before, look):
                        self.looks.append(look)
                    self._seen.notify_all()
            self._leaving.wait(_PAUSE_SECONDS)
        for end in asked.values():
            end.close()


class _End:
    """One end, as its QEMU tells of it."""

    def __init__(self, host: hosts.Host, guest: guests.Guest) -> None:
        self._host = host
        self._name = monitor.EYES.format(guest=guest.name)
        self._has_disk = guest.description.local_disk
        self._monitor: monitor.Monitor | None = None

    def look(self, at: float) -> Look:
        name = self._host.name
        try:
            if self._monitor is None:
                # By way of a process of the host: a host that went down and
                # came back has another one.
                path = self._host.runtime(self._name)
                self._monitor = monitor.Monitor(path)
            state = self._monitor.ask('query-status')['status']
            told = self._monitor.ask('query-migrate')
            disks = self._disks(self._monitor)
        except (monitor.Gone, errors.LabError):
            self.close()
            return Look(at, name, ABSENT)
        except monitor.Silent:
            return Look(at, name, SILENT)
        passes = told.get('ram', {}).get('dirty-sync-count', 0)
        return Look(at, name, state, told.get('status', ''), passes, disks)

    def _disks(self, asked: monitor.Monitor) -> str:
        jobs = asked.ask('query-block-jobs') if self._has_disk else ()
        return jobs[0]['status'] if jobs else ''

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = None


def _differ(one: Look, other: Look) -> bool:
    return (one.state, one.copying, one.disks) != (
        other.state,
        other.copying,
        other.disks,
    )
