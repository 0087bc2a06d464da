"""The stream of samples: from every host to the agent.

A sample that is lost is replaced by the next, so it is not persistent, and
a dead agent leaves at most a queue's limit of them on the broker.
"""

import collections.abc

from oslo_config import cfg

from kvm_balancer.bus import broker
from kvm_balancer.bus import streams

NAME = 'kvm_balancer.samples'


class Publisher:
    """Sends the samples of one host; never waits for long."""

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._host = host
        self._publisher = streams.Publisher(broker.find(conf), _stream(1, 1))

    def publish(self, body: bytes) -> bool:
        """Send a sample, or drop it where the broker does not answer.

        :returns: whether it was handed to the broker
        """
        return self._publisher.publish(body, self._host)

    def close(self) -> None:
        """Let go of the broker."""
        self._publisher.close()


def reader(
    conf: cfg.ConfigOpts,
    take: streams.Take,
    queue_length: int = 50_000,
    queue_ttl_seconds: int = 60,
    batch_size: int = 500,
    batch_seconds: float = 0.25,
    on_others: collections.abc.Callable[[], None] | None = None,
) -> streams.Reader:
    """Return who hands the samples of all hosts to *take*, in batches.

    :param on_others: called while another agent takes a part of them
    :raises ConfigurationError: when ``transport_url`` cannot be read
    """
    return streams.Reader(
        broker.find(conf),
        _stream(queue_length, queue_ttl_seconds),
        take,
        batch_size,
        batch_seconds,
        on_others,
    )


def _stream(length: int, ttl_seconds: int) -> streams.Stream:
    return streams.Stream(
        NAME,
        length,
        ttl_seconds,
        options='[samples] queue_length and queue_ttl_seconds',
    )
