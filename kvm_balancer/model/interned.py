"""What few of many rows have, kept once: a number a row, and a table.

Rows are numbered slots, as elsewhere in the observed fleet.
"""

import collections.abc

import numpy as np
import numpy.typing as npt

from kvm_balancer.model import fleet

#: A table this much larger than what is in use is made anew.
_SLACK = 64


class InternedWishes:
    """What instances ask of their migrations, by slot."""

    def __init__(self) -> None:
        self._numbers: dict[fleet.Wishes, int] = {(): 0}
        self._of: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    def grow(self, size: int) -> None:
        """Make room for *size* slots."""
        more = size - len(self._of)
        if more > 0:
            self._of = np.concatenate((self._of, np.zeros(more, np.int32)))

    def set(
        self,
        slots: npt.NDArray[np.intp],
        columns: collections.abc.Sequence[
            collections.abc.Sequence[fleet.Wishes]
        ],
        lengths: collections.abc.Sequence[int],
        counts: fleet.Bools,
    ) -> None:
        """Take what samples say of *slots*.

        :param slots: of all instances of all samples, one after the other
        :param columns: of each sample; empty where nobody asks for anything
        :param lengths: instances of each sample
        :param counts: which of *slots* are taken
        """
        found = np.zeros(len(slots), np.int32)
        first = 0
        for column, length in zip(columns, lengths, strict=True):
            if column:
                found[first : first + length] = [
                    self._numbers.setdefault(one, len(self._numbers))
                    for one in column
                ]
            first += length
        self._of[slots[counts]] = found[counts]

    def columns(
        self, slots: npt.NDArray[np.intp]
    ) -> tuple[fleet.Ints, tuple[fleet.Wishes, ...]]:
        """Return a number for each of *slots*, and what each number means.

        Number 0 asks for nothing.
        """
        used = np.union1d(self._of[slots], np.zeros(1, np.int32))
        table = list(self._numbers)
        return (
            np.searchsorted(used, self._of[slots]).astype(np.int32),
            tuple(table[number] for number in used.tolist()),
        )

    def clear(self, slots: npt.NDArray[np.intp]) -> None:
        """Forget *slots*, and wishes that nobody has any more."""
        self._of[slots] = 0
        used = np.union1d(self._of, np.zeros(1, np.int32))
        if len(self._numbers) <= 2 * len(used) + _SLACK:
            return
        table = list(self._numbers)
        self._of = np.searchsorted(used, self._of).astype(np.int32)
        self._numbers = {
            table[number]: place for place, number in enumerate(used.tolist())
        }
