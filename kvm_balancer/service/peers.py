"""An executor's way to the executors of other hosts: leases, by RPC."""

import logging

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import rpc
from kvm_balancer.messages import reservation as messages

LOG = logging.getLogger(__name__)

#: A destination answers within milliseconds. One that does not within this
#: time would hold a migration up, and fails it.
ANSWER_SECONDS = 10.0


class Peers:
    """Asks the executors of destinations, by host.

    All methods raise BusError when the executor does not answer; whether it
    got the message is then not known.

    :param host: name of this host
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._client = rpc.Client(conf, rpc.EXECUTOR_TOPIC)
        self._host = host

    def reserve(self, host: str, ask: messages.Ask) -> messages.Answer:
        """Ask for a lease, or for more time; asking again changes nothing.

        :raises KVMBalancerError: when the answer is not understood
        """
        return messages.decode_answer(
            self._client.call(
                'reserve',
                server=host,
                timeout_seconds=ANSWER_SECONDS,
                ask=messages.encode_ask(ask),
            )
        )

    def release(self, host: str, migration_id: str) -> None:
        """Give a lease back; it may have lapsed before."""
        self._client.call(
            'release',
            server=host,
            timeout_seconds=ANSWER_SECONDS,
            wish=messages.encode_release(messages.Release(migration_id)),
        )

    def state(self, host: str, migration_id: str) -> str:
        """Ask where a migration away from another host stands.

        :raises NotFound: when the executor there never accepted it
        """
        return str(
            self._client.call(
                'state',
                server=host,
                timeout_seconds=ANSWER_SECONDS,
                migration_id=migration_id,
            )
        )

    def warm(self) -> None:
        """Make the connection now, so that no migration waits for it.

        Asks the server of this very executor, which has to run.
        """
        try:
            self._client.call(
                'status', server=self._host, timeout_seconds=ANSWER_SECONDS
            )
        except errors.KVMBalancerError as error:
            LOG.warning('Other executors may not be reached: %s', error)

    def close(self) -> None:
        """Let go of the bus."""
        self._client.close()
