"""What the policies taken over from others share.

Neither watches the throttle, so auto-converge is used only where the guest
may be slowed down as far as the hypervisor goes. What the request allows is
theirs to use and never to exceed.

Their originals begin post-copy over whatever link there is. One that fell to
less than half of its peak may fail altogether, and the guest, whose memory is
on both hosts by then, run on neither: so it is waited for, for as long as the
default policy does, and then the migration is given up with its name. Who
decides at the ends of passes only is asked about it between them as well: over
a link that is dead a pass has no end.
"""

import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.convergence import fault
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.convergence import trend

ALL_OF_IT = 99

#: Options by which neither decides: a profile is heeded for a network with a
#: fault only.
UNHEEDED = ('profile', 'post_copy_patience')


def settle_throttle(options: request.Options) -> request.Options:
    """Turn auto-converge off where its end would have to be watched."""
    return dataclasses.replace(
        options,
        auto_converge=(
            options.auto_converge and options.max_throttle_percent >= ALL_OF_IT
        ),
    )


class Network:
    """The network of one migration: no post-copy begins where it has a fault.

    :param options: of the request
    """

    def __init__(self, options: request.Options) -> None:
        self._seen = trend.Trend(bool(options.compression))
        self._patient_seconds = patience.PATIENCE[
            options.profile
        ].collapse_seconds
        self._fault = fault.Fault(self._seen, self._patient_seconds)
        self._put_off: contract.StartPostCopy | None = None

    def take(
        self, statistics: events.Statistics, at: float, boundary: bool
    ) -> None:
        """Take in what the copy looks like, as a policy is shown it."""
        self._seen.measure(statistics, at, boundary)

    def limit(self, mib_s: int) -> None:
        """Take note that the stream may use so much; 0 for all."""
        self._seen.link.limit(mib_s)

    def share(self, streams: int) -> None:
        """Take note that so many streams share the link."""
        self._seen.link.share(streams)

    def refuse_post_copy(self) -> None:
        """Take note that the hypervisor does not begin it."""
        self._put_off = None

    def over(self, at: float) -> contract.GiveUp | None:
        """Give it up where the patience with a broken one is at its end."""
        return self._fault.over(at)

    def heed(
        self, decision: contract.Decision, at: float
    ) -> contract.Decision:
        """Return *decision*, or what is to be done instead of post-copy.

        What was put off is asked for again with each look.
        """
        if isinstance(decision, contract.StartPostCopy):
            self._put_off = decision
        wanted = self._put_off
        if wanted is None or isinstance(decision, contract.GiveUp):
            return decision
        since = self._seen.link.collapsed_since
        if since is None:
            return wanted
        seconds = at - since
        if seconds < self._patient_seconds:
            return contract.CarryOn(
                f'post-copy is put off: {self._fault.reason}'
            )
        return contract.GiveUp(
            f'{wanted.reason}; {self._fault.reason}, for {seconds:.0f} s'
        )
