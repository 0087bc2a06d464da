"""Both ends of a migration, watched throughout.

A copy runs when its QEMU says so, asked by a way that no fault cuts
(:mod:`kvm_balancer.lab.monitor`). Each end is asked by a thread of its own: a
QEMU that takes its time to answer hides what the other one does no more than
the network would. The two are never seen at one moment; so a guest ran twice
only where one end was seen to run before and after the other one was. Owns
the watching and that rule; what should be is for others to say.
"""

import collections
import collections.abc
import dataclasses
import itertools
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

    :ivar asked: seconds since the watch began, when it was asked
    :ivar answered: and when it had said in what state it is
    :ivar state: QEMU's word for it (``running``, ``inmigrate``,
        ``postmigrate``...), ``absent`` or ``silent``
    :ivar copying: QEMU's word for the migration; empty for none
    :ivar passes: begun over the memory
    :ivar disks: QEMU's word for the copying of the disks (``running``,
        ``ready``...); empty for none
    """

    asked: float
    answered: float
    host: str
    state: str
    copying: str = ''
    passes: int = 0
    disks: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Spell:
    """One end, for as long as it said the same.

    :ivar first: look at it
    :ivar last: look at it; the first one where there was no other
    """

    first: Look
    last: Look

    def takes(self, look: Look) -> bool:
        """Say whether a look that follows belongs to it."""
        last = self.last
        return (last.host, last.state, last.copying, last.disks) == (
            look.host,
            look.state,
            look.copying,
            look.disks,
        )


def ran_twice(spells: collections.abc.Iterable[Spell]) -> list[float]:
    """Return when a guest ran at two hosts, by spells at each in order.

    Between two looks that follow one another and both find it running, it
    ran. A single look says that it ran at some time between question and
    answer.

    :returns: since when, for each time that it did
    """
    found = []
    for here, there in itertools.combinations(_stretches(spells), 2):
        for one, other in itertools.product(here, there):
            found += _overlap(one, other)
    return sorted(found)


def _stretches(spells: collections.abc.Iterable[Spell]) -> list[list[Spell]]:
    """Return of each end when it ran without a break, whatever it did."""
    found: dict[str, list[Spell]] = collections.defaultdict(list)
    ran: dict[str, bool] = {}
    for spell in spells:
        host, runs = spell.first.host, spell.first.state == RUNNING
        if runs and ran.get(host):
            found[host][-1] = Spell(found[host][-1].first, spell.last)
        elif runs:
            found[host].append(spell)
        ran[host] = runs
    return list(found.values())


def _overlap(one: Spell, other: Spell) -> list[float]:
    """Return since when two stretches surely were at one time, if ever."""
    begin = max(one.first.answered, other.first.answered)
    end = min(one.last.asked, other.last.asked)
    if begin <= end:
        return [begin]
    return [
        alone.first.answered
        for alone, longer in ((one, other), (other, one))
        if alone.first == alone.last
        and longer.first.answered <= alone.first.asked
        and alone.first.answered <= longer.last.asked
    ]


class Watch:
    """Watches one guest at two hosts, until it is left.

    :ivar spells: what was seen, of each end in its order
    :ivar count: of all looks
    :ivar longest_gap: the longest time, in seconds, in which an end did not
        say in what state it is
    """

    def __init__(
        self, guest: guests.Guest, ends: collections.abc.Sequence[hosts.Host]
    ) -> None:
        self._guest = guest
        self._ends = tuple(ends)
        self._began = time.monotonic()
        self._leaving = threading.Event()
        self._seen = threading.Condition()
        self._now: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self.spells: list[Spell] = []
        self.count = 0
        self.longest_gap = 0.0
        self._threads = [
            threading.Thread(
                target=self._run, args=(end,), name='sight', daemon=True
            )
            for end in self._ends
        ]

    def __enter__(self) -> 'Watch':
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join()

    @property
    def twice(self) -> list[float]:
        """When it ran at both ends, by what was seen so far."""
        with self._seen:
            return ran_twice(self.spells)

    def now(self) -> dict[str, Look]:
        """Return the last look at each end, by host."""
        with self._seen:
            return self._last()

    def wait(
        self,
        wanted: collections.abc.Callable[[dict[str, Look]], bool],
        seconds: float,
    ) -> bool:
        """Wait until the last looks at both ends are as *wanted*."""
        with self._seen:
            return self._seen.wait_for(
                lambda: (
                    len(self._now) == len(self._ends) and wanted(self._last())
                ),
                seconds,
            )

    def has_run_at(self, name: str) -> bool:
        """Say whether a copy was seen to run at the host of this name."""
        return self.was_at(name, lambda look: look.state == RUNNING)

    def was_at(
        self, name: str, wanted: collections.abc.Callable[[Look], bool]
    ) -> bool:
        """Say whether an end was ever seen as *wanted*."""
        with self._seen:
            return any(
                spell.first.host == name and wanted(spell.first)
                for spell in self.spells
            )

    def _last(self) -> dict[str, Look]:
        return {
            name: self.spells[index].last for name, index in self._now.items()
        }

    def _run(self, end: hosts.Host) -> None:
        asked = _End(end, self._guest, self._began)
        while not self._leaving.is_set():
            self.take(asked.look())
            self._leaving.wait(_PAUSE_SECONDS)
        asked.close()

    def take(self, look: Look) -> None:
        """Add a look at one end."""
        with self._seen:
            self.count += 1
            if look.state != SILENT:
                heard = self._heard.get(look.host, look.asked)
                gap = look.answered - heard
                self.longest_gap = max(self.longest_gap, gap)
                self._heard[look.host] = look.answered
            index = self._now.get(look.host)
            if index is not None and self.spells[index].takes(look):
                spell = self.spells[index]
                self.spells[index] = Spell(spell.first, look)
            else:
                self._now[look.host] = len(self.spells)
                self.spells.append(Spell(look, look))
            self._seen.notify_all()


class _End:
    """One end, as its QEMU tells of it.

    :param began: when the watch did, by the clock of intervals
    """

    def __init__(
        self, host: hosts.Host, guest: guests.Guest, began: float
    ) -> None:
        self._host = host
        self._began = began
        self._name = monitor.EYES.format(guest=guest.name)
        self._has_disk = guest.description.local_disk
        self._monitor: monitor.Monitor | None = None

    def look(self) -> Look:
        asked = self._time()
        try:
            if self._monitor is None:
                # By way of a process of the host: a host that went down and
                # came back has another one.
                path = self._host.runtime(self._name)
                self._monitor = monitor.Monitor(path)
            state = self._monitor.ask('query-status')['status']
            answered = self._time()
            return Look(asked, answered, self._host.name, state, *self._more())
        except (monitor.Gone, errors.LabError):
            self.close()
            return Look(asked, self._time(), self._host.name, ABSENT)
        except monitor.Silent:
            return Look(asked, self._time(), self._host.name, SILENT)

    def _more(self) -> tuple[str, int, str]:
        """Return how far it is; not more than that it is silent, if it is.

        In what state it is has been said before, and counts.
        """
        if self._monitor is None:
            return '', 0, ''
        try:
            told = self._monitor.ask('query-migrate')
            jobs = (
                self._monitor.ask('query-block-jobs') if self._has_disk else ()
            )
        except monitor.Silent:
            return SILENT, 0, ''
        passes = told.get('ram', {}).get('dirty-sync-count', 0)
        return (
            told.get('status', ''),
            passes,
            jobs[0]['status'] if jobs else '',
        )

    def _time(self) -> float:
        return time.monotonic() - self._began

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = None
