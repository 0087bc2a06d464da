"""The stream of progress: how far each migration is, for whoever watches.

Progress is durable: its queue and messages survive a restart of the broker.
But the next report replaces the last, and where nobody listens they must not
pile up; oslo.messaging gives no queue a limit, so it travels as a stream
beside the outcomes and not as a notification like them.
"""

from typing import Any

import msgspec
from oslo_config import cfg

from kvm_balancer.bus import broker
from kvm_balancer.bus import streams

NAME = 'kvm_balancer.progress'


class Publisher:
    """Sends the progress of the migrations of one host."""

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._host = host
        self._publisher = streams.Publisher(broker.find(conf), _stream(1, 1))

    def publish(self, payload: dict[str, Any]) -> bool:
        """Send a report, or drop it where the broker does not answer.

        :returns: whether it was handed to the broker
        """
        return self._publisher.publish(
            msgspec.json.encode(payload), self._host
        )

    def close(self) -> None:
        """Let go of the broker."""
        self._publisher.close()


def reader(
    conf: cfg.ConfigOpts,
    take: streams.Take,
    length: int = 10_000,
    ttl_seconds: int = 600,
) -> streams.Reader:
    """Return who hands the reports of all hosts to *take*, as JSON.

    :raises ConfigurationError: when ``transport_url`` cannot be read
    """
    return streams.Reader(
        broker.find(conf), _stream(length, ttl_seconds), take
    )


def _stream(length: int, ttl_seconds: int) -> streams.Stream:
    return streams.Stream(
        NAME,
        length,
        ttl_seconds,
        persistent=True,
        options='[bus] progress_length and progress_ttl_seconds',
    )
