"""How samples become a fleet, and what is told of single hosts and instances.

Words and parameters only; the work is done in :mod:`.observed`.
"""

import dataclasses
import enum

import numpy as np

from kvm_balancer.model import fleet
from kvm_balancer.model import owners
from kvm_balancer.model import sample
from kvm_balancer.model import windows


class Estimate(enum.StrEnum):
    """What is taken for the usage of an instance."""

    EWMA = 'ewma'
    PERCENTILE = 'percentile'
    #: the higher of both
    HIGHEST = 'highest'
    LAST = 'last'


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How samples become a fleet.

    :ivar window_samples: readings kept for the percentile
    :ivar ewma_seconds: time constant of the moving average
    :ivar percentile: 0 to 100
    :ivar lasting_seconds: what all readings of so long show counts, also
        before the average has followed; 0 for not at all
    :ivar silent_after_seconds: age of the last sample from which a host is
        silent
    :ivar future_tolerance_seconds: how far a host's clock may be ahead
    :ivar forget_after_seconds: age from which a host is forgotten
    :ivar foresight_seconds: how far ahead plans look, by what each instance
        does every day; 0 for not at all
    :ivar caution: deviations of a host's load that are added to what is
        foreseen
    :ivar nova_moves: what is Nova's may be movable; else only what is ours
    """

    window_samples: int = 30
    ewma_seconds: float = 60.0
    percentile: float = 90.0
    estimate: Estimate = Estimate.EWMA
    lasting_seconds: float = 80.0
    silent_after_seconds: float = 45.0
    future_tolerance_seconds: float = 5.0
    forget_after_seconds: float = 86_400.0
    foresight_seconds: float = 0.0
    caution: float = 1.0
    nova_moves: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ObservedHost:
    """A host as its last sample has it.

    :ivar age_seconds: of that sample
    """

    name: str
    facts: sample.HostFacts
    usage: sample.HostUsage
    boot: str
    age_seconds: float
    silent: bool
    instances: int


@dataclasses.dataclass(frozen=True, slots=True)
class ObservedInstance:
    """An instance as the host that holds it has it.

    :ivar host: empty while no host reports it
    :ivar owner: ``balancer``, ``nova`` or ``none``
    :ivar state: as in a sample
    """

    id: str
    name: str
    host: str
    owner: str
    state: str
    cpu_last: float
    cpu_average: float
    cpu_percentile: float
    cpu_steal: float


@dataclasses.dataclass(frozen=True, slots=True)
class Habits:
    """What instances do all day: columns of shapes, as bytes.

    :ivar ids: of the instances, in the order of the rows
    """

    ids: tuple[str, ...]
    columns: dict[str, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Custody:
    """Whose an instance is, and how it is.

    :ivar owner: ``balancer``, ``nova`` or ``none``
    :ivar state: as in a sample
    :ivar withheld: what makes it nobody's, where its host tells
    :ivar measured: its usage is known
    :ivar elsewhere: another host reports it, too
    """

    owner: str
    state: str
    withheld: owners.Withheld = owners.Withheld.NOT
    measured: bool = True
    elsewhere: bool = False


def plausible(readings: fleet.Floats, vcpus: fleet.Floats) -> fleet.Floats:
    """Return readings of CPU usage, cut to what can be true.

    An instance uses no more than its virtual CPUs, and its emulator a little
    besides. Where it is not known how many it has, all is believed.
    """
    most = np.where(vcpus > 0, 1.25 * vcpus + 0.5, np.inf)
    found: fleet.Floats = np.minimum(readings, most)
    return found


def lasting(
    params: Params, usage: windows.Windows, rows: windows.Rows
) -> fleet.Floats:
    """Return what *rows* have used all through the last while; 0 for none."""
    if not params.lasting_seconds:
        return np.zeros(len(rows))
    return usage.lasting(rows, params.lasting_seconds)


def latest(usage: windows.Windows, rows: windows.Rows) -> fleet.Floats:
    """Return what was read of *rows* last; NaN for those without reading."""
    found: fleet.Floats = np.where(
        usage.count[rows] > 0, usage.last[rows], np.nan
    )
    return found


def estimated(
    params: Params,
    usage: windows.Windows,
    rows: windows.Rows,
    lasted: fleet.Floats | None = None,
) -> fleet.Floats:
    """Return the usage of *rows* as the parameters want it.

    :param lasted: what :func:`lasting` returns, where that is known
    """
    if params.estimate is Estimate.LAST:
        return usage.last[rows]
    # A step is believed once it has lasted; an average follows it later.
    if lasted is None:
        lasted = lasting(params, usage, rows)
    average: fleet.Floats = np.maximum(usage.average[rows], lasted)
    if params.estimate is Estimate.EWMA:
        return average
    percentile = usage.percentile(rows, params.percentile)
    if params.estimate is Estimate.PERCENTILE:
        return percentile
    return np.maximum(percentile, average)
