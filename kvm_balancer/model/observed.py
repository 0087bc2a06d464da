"""The fleet as its hosts report it.

Samples come in, in batches; a :class:`.fleet.Fleet` comes out whenever one
is asked for. Usage is kept in windows, so that a plan is not made on one
reading. What is wrong with a sample is its own harm: it is refused, counted
and told, and the rest of the batch is taken.
"""

import collections
import collections.abc
import dataclasses

import numpy as np

from kvm_balancer import errors
from kvm_balancer.model import fleet
from kvm_balancer.model import observation
from kvm_balancer.model import observed_hosts
from kvm_balancer.model import observed_instances
from kvm_balancer.model import records
from kvm_balancer.model import sample
from kvm_balancer.model import whereabouts

Params = observation.Params
Estimate = observation.Estimate

#: How often what is old is looked for.
_SWEEP_SECONDS = 15.0


class ObservedFleet:
    """All hosts and instances that were heard of; one thread at a time."""

    def __init__(self, params: observation.Params | None = None) -> None:
        params = params or observation.Params()
        self._params = params
        self._hosts = observed_hosts.ObservedHosts(params)
        self._instances = observed_instances.ObservedInstances(params)
        self._swept_at = 0.0
        #: samples that were taken
        self.accepted = 0
        #: samples that were not, by :class:`.refusal.Cause`
        self.refused: collections.Counter[str] = collections.Counter()

    def __len__(self) -> int:
        return len(self._hosts)

    def refuse(self, refused: errors.SampleRefused) -> None:
        """Count a sample that was refused before it came here."""
        self.refused[refused.cause] += 1

    def apply(
        self, readings: collections.abc.Iterable[sample.Sample], now: float
    ) -> list[errors.SampleRefused]:
        """Take a batch of samples, in the order in which they came.

        :param readings: well-formed, as ``messages.sample`` hands them out
        :param now: seconds since the epoch
        :returns: what was refused; it is counted already
        """
        refusals: list[errors.SampleRefused] = []
        waiting = list(readings)
        while waiting:
            of_each_host, waiting = _one_each(waiting)
            self._take(of_each_host, now, refusals)
        # The other way round when the clock was set back.
        if abs(now - self._swept_at) >= _SWEEP_SECONDS:
            self._swept_at = now
            self._forget(now)
        for refused in refusals:
            self.refuse(refused)
        return refusals

    def snapshot(self, now: float) -> fleet.Fleet:
        """Return the fleet as it is now."""
        hosts = self._hosts.as_records(now)
        places = self._hosts.places()
        silent = np.array([one.silent for one in hosts], np.bool_)
        heard = [
            host.row
            for host, record in zip(self._hosts, hosts, strict=True)
            if not record.silent
        ]
        instances, wishes, transits = self._instances.columns(
            places, silent, heard, now
        )
        made = records.build_fleet(hosts, (), taken_at=now)
        lasting = self._hosts.lasting() + self._instances.lasting(
            places, len(hosts)
        )
        last = self._hosts.latest() + self._instances.latest(
            places, len(hosts), now
        )
        return dataclasses.replace(
            made,
            hosts=dataclasses.replace(
                made.hosts,
                cpu_lasting=lasting / made.hosts.cpus,
                cpu_last=last / made.hosts.cpus,
            ),
            instances=instances,
            wishes=wishes,
            transits=transits,
            lasting_seconds=self._params.lasting_seconds,
        )

    @property
    def slot(self) -> int:
        """The half hour that is under way, since the epoch; -1 for none."""
        return self._instances.shapes.slot

    def habits(self, first: int, count: int) -> observation.Habits:
        """Return what some instances do all day, for keeping.

        :param first: place of the first of them, of all that are on a host
        """
        slots, ids = self._instances.known()
        chosen = slots[first : first + count]
        return observation.Habits(
            tuple(ids[first : first + count]),
            self._instances.shapes.packed(chosen),
        )

    def remember(self, kept: observation.Habits) -> None:
        """Take over what was kept, for when its instances are heard of."""
        self._instances.remember(kept)

    def host(self, name: str, now: float) -> observation.ObservedHost:
        """Return a host as its last sample has it.

        :raises NotFound: when it was never heard of, or is forgotten
        """
        found = self._hosts.find(name)
        age = self._hosts.age_seconds(found, now)
        return observation.ObservedHost(
            name,
            found.facts,
            found.usage,
            found.arrival.boot,
            age,
            age > self._params.silent_after_seconds,
            len(self._instances.listed(found.row)),
        )

    def hosts(self, now: float) -> list[observation.ObservedHost]:
        """Return all hosts as their last samples have them."""
        return [self.host(one.name, now) for one in self._hosts]

    def instance(self, uid: str) -> observation.ObservedInstance:
        """Return an instance as it was last reported.

        :raises NotFound: when it was never heard of, or is forgotten
        """
        return self._instances.find(uid, self._hosts.name)

    def custodies(
        self, uids: collections.abc.Iterable[str]
    ) -> list[observation.Custody | None]:
        """Say of each whose it is; None of those that are not known."""
        return self._instances.custodies(uids)

    def owned(self, uids: tuple[str, ...], owner: str) -> fleet.Bools:
        """Say of each whether it belongs to *owner*, shape ``(uids,)``."""
        return self._instances.owned(uids, owner)

    def _take(
        self,
        readings: list[sample.Sample],
        now: float,
        refusals: list[errors.SampleRefused],
    ) -> None:
        """Take samples of different hosts."""
        taken: list[sample.Sample] = []
        hosts: list[observed_hosts.Host] = []
        slots: list[whereabouts.Slots] = []
        for reading in readings:
            try:
                host = self._hosts.hear(reading, now)
            except errors.SampleRefused as refused:
                refusals.append(refused)
                continue
            taken.append(reading)
            hosts.append(host)
            slots.append(self._list(host, reading.instances, now))
        if not taken:
            return
        self.accepted += len(taken)
        self._hosts.load(
            hosts, np.array([one.interval_seconds for one in taken])
        )
        self._instances.load(
            taken,
            slots,
            np.array([host.row for host in hosts], np.int32),
            np.array([host.arrival.seen_at for host in hosts]),
            now,
        )

    def _list(
        self,
        host: observed_hosts.Host,
        found: sample.InstanceUsages,
        now: float,
    ) -> whereabouts.Slots:
        """Return the slots of a sample; the same ones as before, mostly."""
        if found.id == host.ids and found.name == host.names:
            return self._instances.listed(host.row)
        host.ids, host.names = found.id, found.name
        return self._instances.list_on(host.row, found, now)

    def _forget(self, now: float) -> None:
        """Forget hosts and instances that are gone."""
        for row in self._hosts.forget_old(now):
            self._instances.forget_host(row, now)
        self._instances.forget_absent(now)


def _one_each(
    readings: list[sample.Sample],
) -> tuple[list[sample.Sample], list[sample.Sample]]:
    """Split off the first sample of each host; the rest stays in order."""
    first: dict[str, sample.Sample] = {}
    rest: list[sample.Sample] = []
    for reading in readings:
        if reading.host in first:
            rest.append(reading)
        else:
            first[reading.host] = reading
    return list(first.values()), rest
