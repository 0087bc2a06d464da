"""The agent's way to the executors: commands, by RPC."""

from oslo_config import cfg

from kvm_balancer.bus import rpc
from kvm_balancer.messages import migration as messages
from kvm_balancer.messages import observation
from kvm_balancer.migration import request


class ExecutorClient:
    """Commands to the executors of the fleet, by host.

    All methods raise BusError when the executor does not answer: whether it
    got the command is then not known.
    """

    def __init__(self, conf: cfg.ConfigOpts, timeout_seconds: float) -> None:
        self._client = rpc.Client(conf, rpc.EXECUTOR_TOPIC)
        self._timeout_seconds = timeout_seconds

    def migrate(self, wanted: request.Request) -> str:
        """Command a migration; asking again changes nothing.

        :returns: the state it is in
        :raises MigrationError: when the executor refuses it
        """
        return self._call(
            'migrate',
            wanted.source,
            command=messages.encode_request(wanted),
        )

    def cancel(self, host: str, migration_id: str, reason: str) -> str:
        """Ask for the end of a migration.

        :returns: the state it is in
        :raises NotFound: when that executor never accepted it
        """
        return self._call(
            'cancel',
            host,
            wish=messages.encode_cancel(messages.Cancel(migration_id, reason)),
        )

    def settle(self, host: str, wish: messages.Settle) -> str:
        """Say how a migration ended that is unknown.

        :returns: the state it is in; its outcome follows
        :raises NotFound: when that executor never accepted it
        :raises MigrationError: when it knows more, with what
        """
        return self._call('settle', host, wish=messages.encode_settle(wish))

    def state(self, host: str, migration_id: str) -> str:
        """Ask where a migration stands.

        :raises NotFound: when that executor never accepted it
        """
        return self._call('state', host, migration_id=migration_id)

    def observe(self, host: str, ask: observation.Ask) -> observation.Answer:
        """Ask what is seen of a migration that somebody else carries out.

        :raises KVMBalancerError: when the answer is not understood
        """
        return observation.decode_answer(
            self._ask('observe', host, ask=observation.encode_ask(ask))
        )

    def close(self) -> None:
        """Let go of the bus."""
        self._client.close()

    def _call(self, method: str, host: str, **arguments: object) -> str:
        return str(self._ask(method, host, **arguments))

    def _ask(self, method: str, host: str, **arguments: object) -> object:
        return self._client.call(
            method,
            server=host,
            timeout_seconds=self._timeout_seconds,
            **arguments,
        )
