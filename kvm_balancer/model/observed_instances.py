"""The instances that were heard of: where they are and what they use."""

import collections.abc
import itertools

import numpy as np
import numpy.typing as npt

from kvm_balancer import errors
from kvm_balancer.model import fleet
from kvm_balancer.model import interned
from kvm_balancer.model import observation
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.model import shapes
from kvm_balancer.model import whereabouts
from kvm_balancer.model import windows

#: Columns of a sample that are kept as they are.
_KEPT = (
    'vcpus',
    'memory_mib',
    'disk_gib',
    'cpu_steal',
    'memory_usage_mib',
    'block_read_mib_s',
    'block_write_mib_s',
)
#: How it writes to its memory: what was measured once is kept until it is
#: measured anew, also by another host.
_WRITING = ('dirty_rate_mib_s', 'hot_set_mib', 'cold_rate_mib_s')
_OWNERS: tuple[str, ...] = tuple(owners.Owner)
_WITHHELD: tuple[owners.Withheld, ...] = tuple(owners.Withheld)
_HELD: dict[str, int] = {name: code for code, name in enumerate(_WITHHELD)}
_OWNER = {name: code for code, name in enumerate(_OWNERS)}
_STATES = tuple(one.name.lower() for one in whereabouts.State)
_STATE = {name: code for code, name in enumerate(_STATES)}
#: Nobody lists it for this long: it is gone, and no migration is under way.
_ABSENT_SECONDS = 300.0


class ObservedInstances:
    """Whereabouts of instances, and columns beside them by slot."""

    def __init__(self, params: observation.Params) -> None:
        self._params = params
        self._where = whereabouts.Whereabouts()
        self._cpu = windows.Windows(params.window_samples, params.ewma_seconds)
        self.shapes = shapes.Shapes()
        #: by id, of instances that are not here yet; see :meth:`remember`
        self._remembered: dict[str, dict[str, bytes]] = {}
        self._kept = {name: np.zeros(0) for name in (*_KEPT, *_WRITING)}
        self._owner: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._withheld: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._wishes = interned.InternedWishes()

    def listed(self, host: int) -> whereabouts.Slots:
        """Return the slots of the instances in the host's last sample."""
        return self._where.members(host)

    def list_on(
        self, host: int, found: sample.InstanceUsages, now: float
    ) -> whereabouts.Slots:
        """Set what the host in row *host* lists; return their slots."""
        return self._where.list_on(host, found.id, found.name, now)

    def load(
        self,
        readings: collections.abc.Sequence[sample.Sample],
        slots: collections.abc.Sequence[whereabouts.Slots],
        rows: npt.NDArray[np.int32],
        seen_at: fleet.Floats,
        now: float,
    ) -> None:
        """Take what samples of different hosts say of their instances.

        :param slots: of the instances of each sample
        :param rows: of the hosts, shape ``(len(readings),)``
        :param seen_at: times of the samples, of the same shape
        """
        columns = [one.instances for one in readings]
        lengths = [len(one.id) for one in columns]
        total = sum(lengths)
        if not total:
            return
        self._grow()

        def joined(name: str) -> fleet.Floats:
            # a column that nobody filled in says of no instance anything
            parts = (
                getattr(one, name) or (0.0,) * length
                for one, length in zip(columns, lengths, strict=True)
            )
            return np.fromiter(
                itertools.chain.from_iterable(parts), np.float64, total
            )

        spoken_of = np.concatenate(slots)
        counts = self._where.claim(
            spoken_of,
            np.repeat(rows, lengths),
            _codes(_STATE, (one.state for one in columns), total),
            np.repeat(seen_at, lengths),
            now - self._params.silent_after_seconds,
        )
        ours = spoken_of[counts]
        owners = _codes(_OWNER, (one.owner for one in columns), total)
        self._owner[ours] = owners[counts]
        if any(one.withheld for one in columns) or self._withheld.any():
            said = (
                one.withheld or ('',) * length
                for one, length in zip(columns, lengths, strict=True)
            )
            self._withheld[ours] = _codes(_HELD, said, total)[counts]
        for name in _KEPT:
            self._kept[name][ours] = joined(name)[counts]
        known = counts & (joined(_WRITING[0]) > 0.0)
        for name in _WRITING:
            self._kept[name][spoken_of[known]] = joined(name)[known]
        self._wishes.set(
            spoken_of, [one.asks for one in columns], lengths, counts
        )
        intervals = np.array([one.interval_seconds for one in readings])
        seconds = np.repeat(intervals, lengths)
        # Without an interval, no rate is known yet; what is no number nobody
        # knows, and what was known of it before does not stand any more.
        used = joined('cpu_usage')
        told = np.isfinite(used)
        self._cpu.clear(spoken_of[counts & ~told])
        counts &= (seconds > 0) & told
        ours = spoken_of[counts]
        self._recall(ours)
        used, seconds = used[counts], seconds[counts]
        believed = observation.plausible(used, self._kept['vcpus'][ours])
        self._cpu.add(ours, used, seconds, believed)
        self.shapes.add(ours, believed, seconds, now)

    def remember(self, kept: observation.Habits) -> None:
        """Take over the days of instances, for when they are heard of."""
        for row, uid in enumerate(kept.ids):
            self._remembered[uid] = {
                name: kept.columns[name][row * width : (row + 1) * width]
                for name, width in shapes.Shapes.COLUMNS.items()
            }

    def _recall(self, slots: whereabouts.Slots) -> None:
        """Give those that are heard of for the first time their days."""
        if not self._remembered:
            return
        for slot in slots[self._cpu.count[slots] == 0].tolist():
            kept = self._remembered.pop(self._where.ids[slot], None)
            if kept is not None:
                self.shapes.unpack(np.array([slot], np.intp), kept)

    def known(self) -> tuple[whereabouts.Slots, list[str]]:
        """Return the slots and ids of the instances that are on a host."""
        slots = np.flatnonzero(self._where.holder >= 0)
        return slots, [self._where.ids[slot] for slot in slots.tolist()]

    def forget_host(self, host: int, now: float) -> None:
        """Let the host in row *host* list nothing any more."""
        self._where.forget_host(host, now)

    def forget_absent(self, now: float) -> None:
        """Forget the instances that no host has listed for long."""
        gone = self._where.forget_absent(now - _ABSENT_SECONDS)
        self._cpu.clear(gone)
        self.shapes.clear(gone)
        for name in _WRITING:
            self._kept[name][gone] = 0.0
        self._wishes.clear(gone)

    def columns(
        self,
        places: npt.NDArray[np.int32],
        silent: fleet.Bools,
        hosts: collections.abc.Iterable[int],
        now: float,
    ) -> tuple[fleet.Instances, tuple[fleet.Wishes, ...], fleet.Transits]:
        """Return the instances that are on a host, for a fleet.

        An instance is movable when it is ours, or Nova's where that is
        wanted, and it runs, and only one host that
        is not silent reports it.

        :param places: by row of a host, its place in the fleet
        :param silent: by place, whether it is silent
        :param hosts: rows of the hosts that are not silent
        :param now: seconds since the epoch
        :returns: them, what their numbers of wishes mean, and which of
            them a second host has that is not silent
        """
        slots = np.flatnonzero(self._where.holder >= 0)
        on = places[self._where.holder[slots]]
        kept = {name: column[slots] for name, column in self._kept.items()}
        used = kept['memory_usage_mib']
        # A host that cannot tell says 0; no more than all is copied.
        used = np.where(used > 0, used, np.inf)
        ours = self._owner[slots] == _OWNER[owners.Owner.BALANCER]
        if self._params.nova_moves:
            ours |= self._owner[slots] == _OWNER[owners.Owner.NOVA]
        movable = (
            ours
            & (self._where.state[slots] == whereabouts.State.RUNNING)
            & (self._cpu.count[slots] > 0)
            & ~silent[on]
            & (self._listings(hosts)[slots] == 1)
        )
        at = slots.tolist()
        ids, names = self._where.ids, self._where.names
        wish, wishes = self._wishes.columns(slots)
        found = fleet.Instances(
            id=tuple([ids[slot] for slot in at]),
            name=tuple([names[slot] or ids[slot] for slot in at]),
            host=on.astype(np.int32),
            vcpus=kept['vcpus'],
            memory_mib=kept['memory_mib'],
            disk_gib=kept['disk_gib'],
            cpu_usage=self._usage(slots, on, len(silent), now),
            memory_usage_mib=np.minimum(used, kept['memory_mib']),
            dirty_rate_mib_s=kept['dirty_rate_mib_s'],
            hot_set_mib=kept['hot_set_mib'],
            cold_rate_mib_s=kept['cold_rate_mib_s'],
            cpu_steal=kept['cpu_steal'],
            io_mib_s=kept['block_read_mib_s'] + kept['block_write_mib_s'],
            movable=movable,
            requirement=np.zeros(len(slots), np.int32),
            wish=wish,
        )
        return found, wishes, self._transits(slots, places, silent)

    def _transits(
        self,
        slots: whereabouts.Slots,
        places: npt.NDArray[np.int32],
        silent: fleet.Bools,
    ) -> fleet.Transits:
        """Say who of *slots*, which are in order, is on two hosts."""
        several, rows, arriving = self._where.transits()
        hosts = places[rows]
        heard = ~silent[hosts]
        return fleet.Transits(
            np.searchsorted(slots, several[heard]).astype(np.int32),
            hosts[heard].astype(np.int32),
            arriving[heard],
        )

    def lasting(
        self, places: npt.NDArray[np.int32], hosts: int
    ) -> fleet.Floats:
        """Return what instances have used all through a while, by host.

        :param places: by row of a host, its place in the fleet
        :param hosts: how many there are
        :returns: in cores, by place
        """
        slots = np.flatnonzero(self._where.holder >= 0)
        used = observation.lasting(self._params, self._cpu, slots)
        return self._summed(slots, used, places, hosts)

    def latest(
        self, places: npt.NDArray[np.int32], hosts: int, now: float
    ) -> fleet.Floats:
        """Return what instances used when they were read last, likewise.

        Or what they are about to use, where that is looked for.

        :returns: NaN for a host with an instance that was not read yet
        """
        slots = np.flatnonzero(self._where.holder >= 0)
        used = observation.latest(self._cpu, slots)
        on = places[self._where.holder[slots]]
        used = self._foreseen(used, slots, on, hosts, now)
        return self._summed(slots, used, places, hosts)

    def _summed(
        self,
        slots: whereabouts.Slots,
        used: fleet.Floats,
        places: npt.NDArray[np.int32],
        hosts: int,
    ) -> fleet.Floats:
        """Add up what *slots* have used, by the place of their host."""
        on = places[self._where.holder[slots]]
        total = np.bincount(on, used, hosts)
        return total.astype(np.float64, copy=False)

    def _usage(
        self,
        slots: whereabouts.Slots,
        on: npt.NDArray[np.int32],
        hosts: int,
        now: float,
    ) -> fleet.Floats:
        """Return what plans are to count, of instances on hosts."""
        usage = observation.estimated(self._params, self._cpu, slots)
        return self._foreseen(usage, slots, on, hosts, now)

    def _foreseen(
        self,
        usage: fleet.Floats,
        slots: whereabouts.Slots,
        on: npt.NDArray[np.int32],
        hosts: int,
        now: float,
    ) -> fleet.Floats:
        """Return a usage, or what is foreseen where that is more."""
        ahead = self._params.foresight_seconds
        if not ahead:
            return usage
        outlook = self.shapes.outlook(slots, now + ahead)
        return shapes.foreseen(usage, outlook, on, hosts, self._params.caution)

    def find(
        self, uid: str, host_name: collections.abc.Callable[[int], str]
    ) -> observation.ObservedInstance:
        """Return an instance as it was last reported.

        :param host_name: returns the name of the host in a row
        :raises NotFound: when it was never heard of, or is forgotten
        """
        slot = self._where.slot(uid)
        if slot is None:
            raise errors.NotFound(f'no host has reported an instance {uid!r}')
        rows = np.array([slot], np.intp)
        percentile = self._cpu.percentile(rows, self._params.percentile)
        return observation.ObservedInstance(
            uid,
            self._where.names[slot],
            host_name(int(self._where.holder[slot])),
            _OWNERS[self._owner[slot]],
            _STATES[self._where.state[slot]],
            float(self._cpu.last[slot]),
            float(self._cpu.average[slot]),
            float(percentile[0]),
            float(self._kept['cpu_steal'][slot]),
        )

    def custodies(
        self, uids: collections.abc.Iterable[str]
    ) -> list[observation.Custody | None]:
        """Say of each whose it is; None of those that are not known."""
        slots = map(self._where.slot, uids)
        return [
            None
            if slot is None
            else observation.Custody(
                _OWNERS[self._owner[slot]],
                _STATES[self._where.state[slot]],
                _WITHHELD[self._withheld[slot]],
                bool(self._cpu.count[slot] > 0),
                self._where.several(slot),
            )
            for slot in slots
        ]

    def owned(self, uids: tuple[str, ...], owner: str) -> fleet.Bools:
        """Say of each whether it belongs to *owner*, shape ``(uids,)``."""
        slots = np.fromiter(
            (
                -1 if slot is None else slot
                for slot in map(self._where.slot, uids)
            ),
            np.intp,
            len(uids),
        )
        owned: fleet.Bools = (
            (slots >= 0) & (self._owner[slots] == _OWNER[owner])
            if len(self._owner)
            else np.zeros(len(uids), np.bool_)
        )
        return owned

    def _listings(
        self, hosts: collections.abc.Iterable[int]
    ) -> npt.NDArray[np.intp]:
        """Return, by slot, how many of *hosts* list it."""
        lists = [self._where.members(host) for host in hosts]
        listed = np.concatenate(lists) if lists else np.zeros(0, np.intp)
        return np.bincount(listed, minlength=self._where.capacity)

    def _grow(self) -> None:
        size = self._where.capacity
        more = size - len(self._cpu)
        if more <= 0:
            return
        self._cpu.grow(size)
        self.shapes.grow(size)
        self._wishes.grow(size)
        none = np.zeros(more, np.int8)
        self._owner = np.concatenate((self._owner, none))
        self._withheld = np.concatenate((self._withheld, none))
        for name, column in self._kept.items():
            self._kept[name] = np.concatenate((column, np.zeros(more)))


def _codes(
    codes: dict[str, int],
    columns: collections.abc.Iterable[tuple[str, ...]],
    total: int,
) -> npt.NDArray[np.int8]:
    words = itertools.chain.from_iterable(columns)
    return np.fromiter(map(codes.__getitem__, words), np.int8, total)
