"""What is done about a fault of the network, and for how long.

While the profile is patient nothing is decided. Then a link over which
nothing, or next to nothing, goes is given up; one that is only slow is put
up with, and is a fault all the same until it is sound again.
"""

from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import trend


class Fault:
    """The fault that the network of one migration has, if any.

    :param patient_seconds: how long it is waited for
    """

    def __init__(self, seen: trend.Trend, patient_seconds: float) -> None:
        self._seen = seen
        self._patient_seconds = patient_seconds

    @property
    def lasts(self) -> bool:
        """The network has a fault, be it one that is put up with."""
        return self._seen.link.collapsed_since is not None

    @property
    def reason(self) -> str:
        """Say what the fault is, in a line."""
        return (
            f'the bandwidth fell to {self._seen.bandwidth_mib_s:.1f} MiB/s,'
            f' less than half of its peak: a fault of the network'
        )

    def over(self, at: float) -> contract.GiveUp | None:
        """Give a link up over which nothing, or next to nothing, goes."""
        quiet = self._seen.pulse.quiet_seconds
        if quiet >= self._patient_seconds:
            return contract.GiveUp(
                f'nothing went across for {quiet:.0f} s: a fault of the'
                f' network'
            )
        seconds = self._seconds(at)
        if seconds >= self._patient_seconds and self._seen.link.broken:
            return contract.GiveUp(f'{self.reason}, for {seconds:.0f} s')
        return None

    def decide(self, at: float) -> contract.Decision | None:
        """Say what to do about it; None where it is none, or put up with."""
        over = self.over(at)
        if over is not None or not self.lasts:
            return over
        if self._seconds(at) < self._patient_seconds:
            return contract.CarryOn(self.reason)
        self._seen.link.put_up_with()
        return None

    def _seconds(self, at: float) -> float:
        """Return for how long it has lasted; 0 where there is none."""
        since = self._seen.link.collapsed_since
        return 0.0 if since is None else at - since
