"""What instances do all day, kept in the store and taken up again.

Every half hour the shapes of all instances are written down, a thousand to a
record, so that a restart costs half an hour of history at most. When a day
is over, it is kept as it went, for whoever wants to look at it again: that,
and the day that is under way, is what ``kvm-balancer fleet load`` writes.
"""

import datetime
import logging
from typing import Any

import msgspec
import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import observation
from kvm_balancer.model import shapes
from kvm_balancer.service import watch
from kvm_balancer.store import memories

LOG = logging.getLogger(__name__)

_SHAPES = 'shapes/'
_DAY = 'day/'
_STEP = shapes.SLOT_SECONDS
#: Instances of one record: no database minds so many bytes.
_CHUNK = 1000


class History:
    """Keeps the days of instances."""

    def __init__(
        self, fleet: watch.FleetWatch, store: memories.MemoryStore
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._slot = -1

    def recover(self, now: float) -> None:
        """Take up what an earlier run has kept.

        :raises StoreError: when the store does not answer
        """
        for name in self._store.names(_SHAPES):
            body = self._store.load(name)
            if body is None:
                continue
            try:
                slot, kept = _decoded(body)
            except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
                LOG.warning(
                    'What an earlier run has kept as %s cannot be read, and '
                    'is learned anew',
                    name,
                )
                continue
            self._fleet.remember(_as_of(kept, slot, now))

    def step(self, now: float) -> None:
        """Write down what is due; a store that is away costs half an hour."""
        slot = self._fleet.slot
        if slot == self._slot:
            return
        before, self._slot = self._slot, slot
        if before < 0:
            return
        try:
            self._save(slot, before, now)
        except errors.StoreError as error:
            LOG.warning('The history of the load is not kept: %s', error)

    def _save(self, slot: int, before: int, now: float) -> None:
        over = slot // shapes.SLOTS != before // shapes.SLOTS
        first = 0
        while True:
            found = self._fleet.habits(first, _CHUNK)
            if not found.ids:
                break
            chunk = f'{first // _CHUNK:06d}'
            body = _encoded(slot, found.ids, found.columns)
            self._store.save(f'{_SHAPES}{chunk}', body, now)
            if over:
                today = {'today': found.columns['today']}
                self._store.save(
                    f'{_DAY}{_date(before)}/{chunk}',
                    _encoded(before, found.ids, today),
                    now,
                )
            first += _CHUNK

    def records(self, days: int, now: float) -> list[str]:
        """Return the names of the records of the last *days* days.

        And of today, as far as it was written down.
        """
        since = _date(int(now // shapes.SLOT_SECONDS) - days * shapes.SLOTS)
        over = [
            name
            for name in self._store.names(_DAY)
            if name >= f'{_DAY}{since}'
        ]
        return [*over, *self._store.names(_SHAPES)]

    def record(self, name: str) -> dict[str, Any]:
        """Return one of them, in plain types.

        :returns: ``second`` at which its day began, ``step_seconds``, and
            ``load``: by id of an instance, cores or nothing
        :raises NotFound: when there is none of that name
        """
        kept_so = name.startswith((_DAY, _SHAPES))
        body = self._store.load(name) if kept_so else None
        if body is None:
            raise errors.NotFound(f'no load is kept as {name!r}')
        slot, kept = _decoded(body)
        usage = shapes.day_in(kept.columns['today'])
        if name.startswith(_SHAPES):
            # What comes later is of the day before, which is kept as such;
            # and so is all of what nobody has written for days.
            today = slot // shapes.SLOTS == self._slot // shapes.SLOTS
            usage[:, slot % shapes.SLOTS if today else 0 :] = np.nan
        return {
            'second': slot // shapes.SLOTS * shapes.SLOTS * _STEP,
            'step_seconds': _STEP,
            'load': {
                uid: [None if np.isnan(one) else round(one, 4) for one in row]
                for uid, row in zip(kept.ids, usage.tolist(), strict=True)
            },
        }


def _encoded(
    slot: int, ids: tuple[str, ...], columns: dict[str, bytes]
) -> bytes:
    return msgspec.msgpack.encode(
        {'slot': slot, 'ids': ids, 'columns': columns}
    )


def _decoded(body: bytes) -> tuple[int, observation.Habits]:
    found = msgspec.msgpack.decode(body)
    ids = tuple(str(one) for one in found['ids'])
    columns = found['columns']
    for name, codes in columns.items():
        if len(codes) != len(ids) * shapes.Shapes.COLUMNS[name]:
            raise ValueError(f'{name} has another size')
    return int(found['slot']), observation.Habits(ids, columns)


def _as_of(
    kept: observation.Habits, slot: int, now: float
) -> observation.Habits:
    """Return what was kept, of which today is only what is of today."""
    today = np.frombuffer(kept.columns['today'], np.uint8)
    today = today.reshape(-1, shapes.SLOTS).copy()
    same = int(now // _STEP) // shapes.SLOTS == slot // shapes.SLOTS
    today[:, slot % shapes.SLOTS if same else 0 :] = 0
    return observation.Habits(
        kept.ids, {**kept.columns, 'today': today.tobytes()}
    )


def _date(slot: int) -> str:
    moment = datetime.datetime.fromtimestamp(slot * _STEP, datetime.UTC)
    return moment.date().isoformat()
