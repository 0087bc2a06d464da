"""What a hypervisor shows of a stream, look by look."""

from kvm_balancer.migration import events


class Stream:
    """A job whose stream carries what it is told to.

    Time is that of the job, from 0 on.
    """

    def __init__(self):
        self.at = 0.0
        self.sent_mib = 0.0
        self.told_mib_s = 0.0

    def look(self, at, mib_s, told_mib_s=None, **figures):
        """Return the statistics at *at*; since the last, *mib_s* flowed.

        :param told_mib_s: the hypervisor's figure, where it is another
        """
        self.sent_mib += (at - self.at) * mib_s
        self.at = at
        figures.setdefault('iteration', 1)
        figures.setdefault('total_mib', 1000.0)
        figures.setdefault('remaining_mib', 900.0)
        return events.Statistics(
            elapsed_ms=at * 1000.0,
            transferred_mib=self.sent_mib,
            bandwidth_mib_s=mib_s if told_mib_s is None else told_mib_s,
            **figures,
        )
