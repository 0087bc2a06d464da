"""What links carry over time, in columns: pieces of a steady bandwidth.

A migration that shares its link has less of it from when another one begins,
and more from when that ends. Times count from the first byte, and MiB are
what went across since. Pure.
"""

import collections.abc
import dataclasses
from typing import Self

import numpy as np
from numpy import typing as npt

Column = npt.NDArray[np.float64]

#: Less is none: times would overflow.
_NO_BANDWIDTH_MIB_S = 1e-6


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What links carry, one row each; every column has the shape ``(n,)``.

    :ivar mib_s: the bandwidth of each piece
    :ivar ends: when the pieces end, in seconds, for all rows at once and ever
        later; the last one does not
    """

    mib_s: tuple[Column, ...]
    ends: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        mib_s: collections.abc.Iterable[Column],
        ends: collections.abc.Iterable[float] = (),
    ) -> Self:
        """Return what links carry that have this bandwidth, then that."""
        return cls(
            tuple(
                np.where(one > _NO_BANDWIDTH_MIB_S, one, 0.0) for one in mib_s
            ),
            tuple(ends),
        )

    @classmethod
    def steady(cls, mib_s: Column) -> Self:
        """Return what links carry whose bandwidth never changes."""
        return cls.of((mib_s,))

    @property
    def last_mib_s(self) -> Column:
        """The bandwidth that stays."""
        return self.mib_s[-1]

    def only(self, rows: npt.NDArray[np.intp]) -> Self:
        """Return some of the rows."""
        return type(self)(tuple(one[rows] for one in self.mib_s), self.ends)

    def limited(self, mib_s: float) -> Self:
        """Return what is carried under a limit of the bandwidth."""
        return type(self)(
            tuple(np.minimum(one, mib_s) for one in self.mib_s), self.ends
        )

    def after(self, seconds: float) -> Self:
        """Return what is carried from then on."""
        gone = sum(end <= seconds for end in self.ends)
        return type(self)(
            self.mib_s[gone:], tuple(end - seconds for end in self.ends[gone:])
        )

    def as_of(self, seconds: Column) -> Self:
        """Return what there is to be expected by who has seen it so far.

        :param seconds: until when, shape ``(n,)``
        """
        if not self.ends:
            return self
        now = self.at(seconds)
        later = (
            np.where(seconds >= end, one, now)
            for end, one in zip(self.ends, self.mib_s[1:], strict=True)
        )
        return type(self)((self.mib_s[0], *later), self.ends)

    def at(self, seconds: Column) -> Column:
        """Return the bandwidth that there is at a time."""
        found = self.mib_s[0]
        for end, one in zip(self.ends, self.mib_s[1:], strict=True):
            found = np.where(seconds >= end, one, found)
        return found

    def carried_mib(self, seconds: Column) -> Column:
        """Return what is carried by a time."""
        found, begin = np.zeros_like(self.last_mib_s), 0.0
        for end, one in zip(self.ends, self.mib_s, strict=False):
            found = found + np.clip(seconds - begin, 0.0, end - begin) * one
            begin = end
        last = self.last_mib_s
        # for ever at no bandwidth is nothing, too
        lasts = np.where(last > 0.0, np.maximum(seconds - begin, 0.0), 0.0)
        return np.asarray(found + lasts * last, dtype=np.float64)

    def seconds(self, mib: Column) -> Column:
        """Return when so much is carried; infinity for never."""
        found, left, begin = np.zeros_like(self.last_mib_s), mib, 0.0
        for end, one in zip(self.ends, self.mib_s, strict=False):
            here = np.minimum(left, (end - begin) * one)
            found = found + np.where(
                left > here, end - begin, here / np.where(here > 0.0, one, 1.0)
            )
            left, begin = left - here, end
        last = self.last_mib_s
        rest = left / np.where(last > 0.0, last, 1.0)
        never = (last <= 0.0) & (left > 0.0)
        return np.asarray(np.where(never, np.inf, found + rest))
