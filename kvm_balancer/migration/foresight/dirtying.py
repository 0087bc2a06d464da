"""How guests write to their memory: two classes of it, in columns.

A guest sweeps a hot set of h MiB, over and over, and writes to the rest of
its memory in use, V - h, at random and at a cold rate c. With d the rate at
which clean memory gets dirty at first, in all, the hot set is swept within
h / (d - c) seconds; of the rest some pages are hit twice. After t seconds
are dirty

    U(t) = min(h, (d - c) t) + (V - h) (1 - exp(-c t / (V - h)))

MiB. U drives the passes of a migration (:mod:`.passes`), and is what a
measurement of a dirty rate tells for the length of its window
(:mod:`.hot_set`). A guest that writes at random to a part of its memory is
one with a smaller hot set and a higher cold rate.
"""

import dataclasses
from typing import Self

import numpy as np
from numpy import typing as npt

Column = npt.NDArray[np.float64]

#: ``CPU_THROTTLE_TIMESLICE_NS``, softmmu/cpu-throttle.c of QEMU: a guest that
#: is slowed down is awake for so long at a time, and sleeps for as long in
#: one piece as the throttle asks for.
_AWAKE_SECONDS = 0.01
#: What wakes a guest that waits most of the time, as a timer does: beats that
#: it sleeps through are one when it wakes. How often is not known from
#: outside; this is among the slowest there are.
_BEAT_SECONDS = 0.02
#: Between two sleeps that are longer than a beat it does the work of the one
#: that woke it, and of what it is awake for: so much of its time it needs at
#: least, however little it computes. (A throttle of 70, 80 and 90 % left 90,
#: 55 and 30 % of the rate of guests that need a thirtieth, with QEMU 7.2.)
LEAST_AWAKE = _AWAKE_SECONDS / (_AWAKE_SECONDS + _BEAT_SECONDS)
#: Far less than a page.
_NOTHING_MIB = 1e-6


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Dirtying:
    """Guests, one row each; every column has the shape ``(n,)``.

    :ivar hot_mib: size of the hot set
    :ivar rest_mib: size of all other memory in use
    :ivar hot_turns: how often the hot set is swept a second: rate / size
    :ivar rest_turns: the same of the rest, of which some pages are hit twice
    :ivar awake: which share of its time it needs for that; the rest of it
        can be taken from it at no cost
    """

    hot_mib: Column
    rest_mib: Column
    hot_turns: Column
    rest_turns: Column
    awake: Column

    @classmethod
    def of(
        cls,
        memory_in_use_mib: Column,
        dirty_rate_mib_s: Column,
        hot_set_mib: Column | None,
        cold_rate_mib_s: Column | None,
        cpu_cores: Column | None = None,
    ) -> Self:
        """Describe guests by what is known of them.

        :param hot_set_mib: 0, or None for all, where it is not known: then
            all memory in use is
        :param cold_rate_mib_s: the part of the dirty rate that goes to the
            rest of the memory; None for 0
        :param cpu_cores: that it uses; 0, or None for all, where that is not
            known: then it needs all of its time
        """
        memory = np.maximum(memory_in_use_mib, 0.0)
        rate = np.maximum(dirty_rate_mib_s, 0.0)
        hot = memory if hot_set_mib is None else hot_set_mib
        hot = np.where(hot > 0.0, np.minimum(hot, memory), memory)
        rest = memory - hot
        cold = np.zeros_like(memory)
        if cold_rate_mib_s is not None:
            cold = np.clip(cold_rate_mib_s, 0.0, rate)
        # without a rest, all is written to what there is
        cold = np.where(rest > 0.0, cold, 0.0)
        awake = np.ones_like(memory)
        if cpu_cores is not None:
            # Any vCPU may be the one that writes.
            awake = np.where(
                cpu_cores > 0.0, np.clip(cpu_cores, LEAST_AWAKE, 1.0), 1.0
            )
        return cls(
            hot, rest, _turns(rate - cold, hot), _turns(cold, rest), awake
        )

    @property
    def memory_mib(self) -> Column:
        """All memory in use."""
        return self.hot_mib + self.rest_mib

    def only(self, rows: npt.NDArray[np.intp]) -> Self:
        """Return some of the guests."""
        return type(self)(
            self.hot_mib[rows],
            self.rest_mib[rows],
            self.hot_turns[rows],
            self.rest_turns[rows],
            self.awake[rows],
        )

    def pace(self, throttle: Column) -> Column:
        """Return which share of its rate a guest keeps under a throttle.

        One that waits most of the time goes on as before until the throttle
        takes more than that.
        """
        return np.minimum(1.0, (1.0 - throttle) / self.awake)

    def dirtied_mib(self, seconds: Column) -> Column:
        """Return U: what of clean memory is dirty after so long."""
        return self.hot_mib * self.hot_share(seconds) + (
            self.rest_mib * self.rest_share(seconds)
        )

    def hot_share(self, seconds: Column) -> Column:
        """Return which share of the hot set is dirty after so long."""
        return np.minimum(1.0, self.hot_turns * seconds)

    def rest_share(self, seconds: Column) -> Column:
        """Return which share of the rest is dirty after so long."""
        return np.asarray(
            -np.expm1(-self.rest_turns * seconds), dtype=np.float64
        )


def _turns(rate: Column, size: Column) -> Column:
    some = size > _NOTHING_MIB
    return np.where(some, rate / np.where(some, size, 1.0), 0.0)
