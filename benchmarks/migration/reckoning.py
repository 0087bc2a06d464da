"""What the numbers of a benchmark say. Pure: figures in, figures out."""

import collections.abc
import dataclasses
import statistics

import numpy as np

#: Signs are drawn this often where there are too many to try all.
_DRAWS = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Pairs:
    """Two ways, measured in pairs.

    :ivar difference: median over the pairs of ours less the other
    :ivar noise: what two identical runs differ by: median distance of two
        runs of the other way that followed each other
    :ivar p: how often signs drawn by chance make a mean difference as large
    """

    ours: float
    other: float
    difference: float
    noise: float
    p: float


def median(values: collections.abc.Iterable[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


def noise(values: collections.abc.Sequence[float]) -> float:
    """Return the median distance of neighbours; 0 where there are none."""
    if len(values) < 2:
        return 0.0
    return float(np.median(np.abs(np.diff(np.asarray(values)))))


def compare(
    ours: collections.abc.Sequence[float],
    other: collections.abc.Sequence[float],
    seed: int = 1,
) -> Pairs:
    """Compare two ways that were measured in turns."""
    differences = np.asarray(ours) - np.asarray(other)
    return Pairs(
        ours=median(ours),
        other=median(other),
        difference=float(np.median(differences)),
        noise=noise(other),
        p=permutation(differences, seed),
    )


def permutation(
    differences: collections.abc.Sequence[float] | np.ndarray, seed: int = 1
) -> float:
    """Return the two-sided p of a sign-flip test of paired differences.

    Were the two ways alike, each difference could as well have the other
    sign (Fisher's randomisation test).
    """
    found = np.asarray(differences, dtype=np.float64)
    if not found.size:
        return 1.0
    drawn = np.random.default_rng(seed).integers(
        0, 2, size=(_DRAWS, found.size), dtype=np.int8
    )
    means = np.abs((drawn * 2 - 1) @ found) / found.size
    least = abs(float(found.mean())) * (1 - 1e-9)
    return float((np.count_nonzero(means >= least) + 1) / (_DRAWS + 1))
