"""Samples of this host, one after the other, on their way to the agent.

Owns the rhythm, the sequence numbers and the identity of this run; what is
read is the driver's, how it travels is the bus's. A host that cannot be read
sends nothing: silence is what the agent understands.
"""

import collections.abc
import dataclasses
import logging
import time
import uuid

from kvm_balancer import errors
from kvm_balancer.model import sample
from kvm_balancer.service import background
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)

#: Sends one sample; raises BusError when it could not.
Publish = collections.abc.Callable[[sample.Sample], None]
#: Fills in what one reading does not tell; returns at once.
Fill = collections.abc.Callable[[sample.InstanceUsages], sample.InstanceUsages]
#: Tells what the interface of migrations carries, MiB/s; None if not known.
Carries = collections.abc.Callable[[], float | None]


class Collector:
    """Reads the host every *interval* seconds until it is stopped.

    :param host: name of this host in the fleet
    :param facts: what the operator says of the host; what the driver knows
        better (CPUs, memory, CPU model, versions) is filled in where the
        operator said nothing
    """

    def __init__(
        self,
        hypervisor: driver.Driver,
        publish: Publish,
        host: str,
        facts: sample.HostFacts,
        interval_seconds: float,
        fill: Fill = lambda instances: instances,
        carries: Carries = lambda: None,
    ) -> None:
        self._hypervisor = hypervisor
        self._publish = publish
        self._host = host
        self._facts = facts
        self._interval_seconds = interval_seconds
        self._fill = fill
        self._carries = carries
        self._boot = uuid.uuid4().hex
        self._sequence = 0
        self._trouble = ''
        self._background = background.Background('collector', self._run)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._background.start()

    def stop(self) -> None:
        """End after the sample that is being taken."""
        self._background.stop()

    def take(self) -> sample.Sample:
        """Take the next sample.

        :raises HypervisorUnreachable: when the hypervisor does not answer
        """
        reading = self._hypervisor.read()
        self._sequence += 1
        return sample.Sample(
            host=self._host,
            boot=self._boot,
            sequence=self._sequence,
            taken_at=reading.taken_at,
            interval_seconds=reading.interval_seconds,
            facts=complete(self._facts, reading, self._carries()),
            usage=reading.usage,
            instances=self._fill(reading.instances),
        )

    def _run(self) -> None:
        due = time.monotonic()
        while not self._background.ending:
            self._take_and_publish()
            # A rhythm, not a pause: a slow sample does not shift the next,
            # and what was missed is not made up for.
            now = time.monotonic()
            due = max(due + self._interval_seconds, now)
            self._background.pause(due - now)

    def _take_and_publish(self) -> None:
        """Send one sample; say once when that begins or ceases to fail."""
        trouble = ''
        try:
            self._publish(self.take())
        except errors.KVMBalancerError as error:
            trouble = str(error)
        except Exception:
            # A sampler that has ended looks like a dead host: nothing that
            # one reading does may end it.
            LOG.exception('A sample of this host failed')
            return
        if trouble and trouble != self._trouble:
            LOG.error('No sample of this host: %s', trouble)
        elif self._trouble and not trouble:
            LOG.info('Samples of this host are taken again')
        self._trouble = trouble


def complete(
    facts: sample.HostFacts,
    reading: driver.Reading,
    carries_mib_s: float | None = None,
) -> sample.HostFacts:
    """Fill in what the operator left to the driver.

    Zero CPUs or memory, and an empty CPU model, are what was left open.

    :param carries_mib_s: by the interface of migrations, as far as it says:
        no plan is to rest on more
    """
    return dataclasses.replace(
        facts,
        cpus=facts.cpus or reading.cpus,
        memory_mib=facts.memory_mib or reading.memory_mib,
        cpu_model=facts.cpu_model or reading.cpu_model,
        migration_mib_s=min(
            facts.migration_mib_s, carries_mib_s or facts.migration_mib_s
        ),
        hypervisor_version=reading.hypervisor_version,
        library_version=reading.library_version,
    )
