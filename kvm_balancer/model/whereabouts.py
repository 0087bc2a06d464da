"""Which host each instance is on, as far as hosts report it.

An instance has a slot, a row in every column about instances. A host lists
the instances that it has; while one migrates, two hosts list it. It is
counted on one of them, its *holder*:

- the host that reports it in the more settled state: running, before paused
  or outgoing, before any other, before incoming;
- of two equal ones, the one that reported last;
- whatever its state, one that still reports it, before one gone silent.

An instance that no host lists keeps its slot, and with it its history, for a
while: a migration may take it off one host's list before it is on the
other's.
"""

import collections.abc
import enum

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet

Slots = npt.NDArray[np.intp]

_NOBODY = -1
_FIRST_SLOTS = 64


class State(enum.IntEnum):
    """What an instance does on the host that lists it."""

    INCOMING = 0
    OTHER = 1
    PAUSED = 2
    OUTGOING = 3
    RUNNING = 4


#: How settled each state is.
_RANKS = np.array([0, 1, 2, 2, 3], np.int8)


class Whereabouts:
    """Slots of instances, who lists them and who holds them."""

    def __init__(self) -> None:
        self._slot_of: dict[str, int] = {}
        self._free: list[int] = []
        #: by slot; empty where the slot is free
        self.ids: list[str] = []
        self.names: list[str] = []
        #: row of the host that each is counted on, or -1
        self.holder: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self.state: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        #: when its holder last reported it
        self.held_at: fleet.Floats = np.zeros(0)
        #: since when no host lists it; infinite while one does
        self.absent_since: fleet.Floats = np.zeros(0)
        self._listed: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        #: another host that lists it, or -1, and what it does there
        self._rival: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._rival_state: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._members: dict[int, Slots] = {}

    @property
    def capacity(self) -> int:
        """Slots there are, free ones included."""
        return len(self.holder)

    def slot(self, uid: str) -> int | None:
        """Return the slot of an instance, or None when it has none."""
        return self._slot_of.get(uid)

    def members(self, host: int) -> Slots:
        """Return the slots of the instances that *host* lists."""
        return self._members.get(host, _NONE)

    def list_on(
        self,
        host: int,
        ids: collections.abc.Sequence[str],
        names: collections.abc.Sequence[str],
        now: float,
    ) -> Slots:
        """Set what *host* lists; in the order of *ids*.

        :returns: their slots, shape ``(len(ids),)``
        """
        slots = np.array([self._slot_for(uid) for uid in ids], np.intp)
        for slot, name in zip(slots.tolist(), names, strict=True):
            self.names[slot] = name
        before = self.members(host)
        self._members[host] = slots
        self._listed[slots] += 1
        self._listed[before] -= 1
        self.absent_since[slots] = np.inf
        self._leave(host, np.setdiff1d(before, slots), now)
        return slots

    def claim(
        self,
        slots: Slots,
        hosts: npt.NDArray[np.int32],
        states: npt.NDArray[np.int8],
        at: fleet.Floats,
        silent_before: float,
    ) -> npt.NDArray[np.bool_]:
        """Let hosts report instances, and settle who holds each.

        :param slots: may name an instance twice, for two hosts
        :param silent_before: a holder that last reported before it is silent
        :returns: shape ``(len(slots),)``: true for the reports that count,
            one for each instance at most
        """
        ranks = _RANKS[states]
        holder = self.holder[slots]
        held_rank = _RANKS[self.state[slots]]
        held_at = self.held_at[slots]
        taken = (
            (holder == hosts)
            | (holder == _NOBODY)
            | (held_at < silent_before)
            | (ranks > held_rank)
            | ((ranks == held_rank) & (at >= held_at))
        )
        taken &= self._best(slots, ranks, at, taken)
        lost = slots[~taken]
        self._rival[lost] = hosts[~taken]
        self._rival_state[lost] = states[~taken]
        ours = slots[taken]
        ousted = (holder != hosts) & (holder != _NOBODY) & taken
        self._rival[slots[ousted]] = holder[ousted]
        self._rival_state[slots[ousted]] = self.state[slots[ousted]]
        self.holder[ours] = hosts[taken]
        self.state[ours] = states[taken]
        self.held_at[ours] = at[taken]
        counts: npt.NDArray[np.bool_] = taken
        return counts

    def several(self, slot: int) -> bool:
        """Say whether more than one host lists an instance."""
        return bool(self._listed[slot] > 1)

    def transits(self) -> tuple[Slots, npt.NDArray[np.int32], fleet.Bools]:
        """Return the instances that another host than their holder lists.

        :returns: their slots; that other host; and whether they are on
            their way to it, rather than held by it still
        """
        several = np.flatnonzero((self._listed > 1) & (self.holder >= 0))
        slots = np.array(
            [
                slot
                for slot in several.tolist()
                if self._rival[slot] != self.holder[slot]
                and slot in self.members(int(self._rival[slot]))
            ],
            np.intp,
        )
        arriving = self._rival_state[slots] == State.INCOMING
        return slots, self._rival[slots], arriving

    def forget_host(self, host: int, now: float) -> None:
        """Let *host* list nothing any more."""
        slots = self._members.pop(host, _NONE)
        self._listed[slots] -= 1
        self._leave(host, slots, now)
        self._rival[self._rival == host] = _NOBODY

    def forget_absent(self, before: float) -> Slots:
        """Free the slots of instances absent since *before* or longer.

        :returns: the slots that are free now
        """
        gone = np.flatnonzero(self.absent_since <= before)
        for slot in gone.tolist():
            del self._slot_of[self.ids[slot]]
            self.ids[slot] = self.names[slot] = ''
            self._free.append(slot)
        self.absent_since[gone] = np.inf
        return gone

    def _leave(self, host: int, slots: Slots, now: float) -> None:
        """Take *host* off the instances that it lists no more."""
        for slot in slots[self.holder[slots] == host].tolist():
            rival = int(self._rival[slot])
            if rival != host and slot in self.members(rival):
                # Unsettled until the rival's next report says what it is.
                self.holder[slot] = rival
                self.state[slot] = State.INCOMING
            else:
                self.holder[slot] = _NOBODY
            self._rival[slot] = _NOBODY
        self.absent_since[slots[self._listed[slots] == 0]] = now

    @staticmethod
    def _best(
        slots: Slots,
        ranks: npt.NDArray[np.int8],
        at: fleet.Floats,
        taken: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:
        """Return, of reports of the same instance, the one that counts."""
        best = np.ones(len(slots), np.bool_)
        if len(np.unique(slots)) == len(slots):
            return best
        order = np.lexsort((at, ranks, taken, slots))
        ordered = slots[order]
        best[order[:-1]] = ordered[1:] != ordered[:-1]
        return best

    def _slot_for(self, uid: str) -> int:
        found = self._slot_of.get(uid)
        if found is not None:
            return found
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._slot_of[uid] = slot
        self.ids[slot] = uid
        self.holder[slot] = self._rival[slot] = _NOBODY
        self.state[slot] = State.INCOMING
        return slot

    def _grow(self) -> None:
        size = self.capacity
        more = max(_FIRST_SLOTS, size // 2)
        nobody = np.full(more, _NOBODY, np.int32)
        self.holder = np.concatenate((self.holder, nobody))
        self._rival = np.concatenate((self._rival, nobody))
        unsettled = np.zeros(more, np.int8)
        self.state = np.concatenate((self.state, unsettled))
        self._rival_state = np.concatenate((self._rival_state, unsettled))
        self.held_at = np.concatenate((self.held_at, np.zeros(more)))
        never = np.full(more, np.inf)
        self.absent_since = np.concatenate((self.absent_since, never))
        none = np.zeros(more, np.int32)
        self._listed = np.concatenate((self._listed, none))
        self.ids.extend([''] * more)
        self.names.extend([''] * more)
        self._free.extend(range(size + more - 1, size - 1, -1))


_NONE: Slots = np.zeros(0, np.intp)
