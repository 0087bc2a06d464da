"""Builders: requests, policies that say what they are told, and events."""

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import machine

State = events.EndState


RESERVED = events.Check(
    'reservation', events.Verdict.PASSED, '512 MiB are reserved'
)


class Told(contract.Convergence):
    """Answers with the decisions it was given, then carries on."""

    def __init__(self, *decisions):
        self.decisions = list(decisions)
        self.judged = []
        self.refused = []
        self.limited = []
        self.shared = []
        self.disks = contract.CarryOn('')

    def begin(self, options, predicted, at):
        return contract.Settings(options, 300)

    def judge(self, statistics, at, boundary):
        self.judged.append((at, boundary))
        if self.decisions:
            return self.decisions.pop(0)
        return contract.CarryOn('carry on')

    def bandwidth_limited(self, mib_s, at):
        self.limited.append(mib_s)

    def judge_disks(self, statistics, disk_mib, at):
        self.disk_mib = disk_mib
        return self.disks

    def link_shared(self, streams, at):
        self.shared.append(streams)

    def post_copy_refused(self, reason):
        self.refused.append(reason)


def wanted(**options):
    return request.Request(
        'm1',
        'i1',
        'alpha',
        'beta',
        'qemu+tls://beta/system',
        100.0,
        options=request.Options(**options),
    )


def seen(iteration=1, **figures):
    figures.setdefault('remaining_mib', 100.0)
    figures.setdefault('transferred_mib', 100.0 * iteration)
    figures.setdefault('bandwidth_mib_s', 50.0)
    return events.Statistics(iteration=iteration, **figures)


class Life:
    """A machine and a clock that goes on by a second an event."""

    def __init__(self, *decisions, **options):
        self.policy = Told(*decisions)
        self.machine = machine.Machine(wanted(**options), self.policy)
        self.now = 100.0
        self.wishes = []
        #: marks are taken off as soon as that is asked for
        self.unmarks = True

    @property
    def names(self):
        """Names of all instructions so far, but for reports."""
        return [
            type(wish).__name__
            for wish in self.wishes
            if type(wish).__name__ != 'ReportProgress'
        ]

    @property
    def reports(self):
        """What whoever watches was told so far."""
        return [
            wish
            for wish in self.wishes
            if type(wish).__name__ == 'ReportProgress'
        ]

    def tell(self, kind, after=1.0, **fields):
        self.now += after
        new = self.machine.handle(kind(at=self.now, cause='test', **fields))
        self.wishes.extend(new)
        if self.unmarks and any(
            type(wish).__name__ == 'Unmark' for wish in new
        ):
            return (*new, *self.tell(events.Unmarked, 0.0))
        return new

    def checked(self, *checks):
        """Have it checked, and memory reserved where no check failed."""
        self.wishes.extend(self.machine.begin(self.now))
        new = self.tell(events.Checked, checks=checks)
        return new if self.machine.state.ended else self.reserved(RESERVED)

    def reserved(self, *checks):
        return self.tell(events.Reserved, checks=checks)

    def copying(self, iteration=1):
        self.checked()
        return self.tell(events.Progressed, statistics=seen(iteration))

    def passed(self, iteration=2, **figures):
        return self.tell(
            events.PassEnded, statistics=seen(iteration, **figures)
        )

    def ends(
        self,
        source,
        destination,
        job_active=False,
        after=1.0,
        unstarted=False,
    ):
        return self.tell(
            events.EndsSeen,
            after,
            source=events.End(source, job_active),
            destination=events.End(destination, unstarted=unstarted),
        )

    def ends_until(self, name, source, destination, **fields):
        """Look at the ends until an instruction comes, or for too long."""
        for _ in range(100):
            new = self.ends(source, destination, **fields)
            if name in [type(wish).__name__ for wish in new]:
                return new
        raise AssertionError(f'no {name}: {self.machine.story[-3:]}')

    def returned(self, error='', after=1.0, **fields):
        return self.tell(events.CallReturned, after, error=error, **fields)
