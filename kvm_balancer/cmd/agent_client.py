"""Questions to a running agent, over the bus."""

import collections.abc
import contextlib
from typing import Any
from typing import Protocol

from oslo_config import cfg

Row = dict[str, Any]

#: for an answer of the agent
_TIMEOUT_SECONDS = 30.0


class Caller(Protocol):
    """What calls a method of the agent and returns its answer."""

    def call(self, method: str, **arguments: Any) -> Any:
        """Call *method*; raise BusError when the agent does not answer."""

    def close(self) -> None:
        """Let go of the bus."""


class AgentClient:
    """The agent's methods; answers are plain builtins.

    All raise BusError when the bus or the agent does not answer, and what
    the agent itself refused with.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def hosts(self) -> list[Row]:
        """Return the hosts and their load."""
        return self._rows('list_hosts')

    def load_records(self, days: int) -> list[str]:
        """Return the names of what is kept of the load of some days."""
        return [str(one) for one in self._caller.call('list_load', days=days)]

    def load_record(self, name: str) -> Row:
        """Return one record of the load."""
        return self._row('show_load', name=name)

    def release(self, instance: str) -> Row:
        """Let an instance that went round be moved again."""
        return self._row('release_instance', instance=instance)

    def instances(self, host: str | None = None) -> list[Row]:
        """Return the instances, all or those of one host."""
        return self._rows('list_instances', host=host)

    def plans(self, limit: int = 20) -> list[Row]:
        """Return the latest plans, newest first."""
        return self._rows('list_plans', limit=limit)

    def plan(self, plan_id: str) -> Row:
        """Return one plan with its moves."""
        return self._row('show_plan', plan_id=plan_id)

    def make_plan(self, **wanted: Any) -> Row:
        """Let the agent plan now, and show what it would do.

        :param wanted: instead of what is configured: ``policies``,
            ``target``, ``limit``, ``max_moves``, ``max_gib``, ``prefer``,
            ``budget_seconds``, ``eagerness``
        """
        return self._row('make_plan', **wanted)

    def explain(
        self, subject: str, plan: str | None = None, **wanted: Any
    ) -> Row:
        """Return why a plan, an instance or a host is as it is.

        :param wanted: as of :meth:`make_plan`
        """
        return self._row('explain', subject=subject, plan_id=plan, **wanted)

    def migrations(
        self,
        unknown: bool = False,
        instance: str | None = None,
        host: str | None = None,
        limit: int | None = 20,
    ) -> list[Row]:
        """Return the latest migrations, newest first; of None, all."""
        return self._rows(
            'list_migrations',
            unknown=unknown,
            instance=instance,
            host=host,
            limit=limit,
        )

    def migration(self, migration_id: str) -> Row:
        """Return one migration with its story."""
        return self._row('show_migration', migration_id=migration_id)

    def cancel_migration(
        self, migration_id: str, reason: str = 'cancelled by an operator'
    ) -> Row:
        """Ask for the end of a migration that runs."""
        return self._row(
            'cancel_migration', migration_id=migration_id, reason=reason
        )

    def settle_migration(
        self, migration_id: str, completed: bool, reason: str
    ) -> Row:
        """Say how a migration ended that is unknown.

        :param reason: who says so, and why
        """
        return self._row(
            'settle_migration',
            migration_id=migration_id,
            completed=completed,
            reason=reason,
        )

    def drain(self, host: str, reason: str) -> Row:
        """Empty a host, and let nothing arrive there."""
        return self._row('drain_host', host=host, reason=reason)

    def undrain(self, host: str) -> Row:
        """Let instances arrive at a host that was drained."""
        return self._row('undrain_host', host=host)

    def drained(self, host: str) -> Row:
        """Return how far a drain is."""
        return self._row('show_drain', host=host)

    def drains(self) -> list[Row]:
        """Return how far all drains are."""
        return self._rows('list_drains')

    def members(self, aggregate: str) -> list[Row]:
        """Return the hosts of an aggregate, and whether each is silent."""
        return self._rows('list_members', aggregate=aggregate)

    def status(self) -> Row:
        """Return what the agent is doing."""
        return self._row('status')

    def fleet(self) -> Row:
        """Return the fleet document as the agent sees it."""
        return self._row('export_fleet')

    def _rows(self, method: str, **arguments: Any) -> list[Row]:
        return [dict(row) for row in self._caller.call(method, **arguments)]

    def _row(self, method: str, **arguments: Any) -> Row:
        return dict(self._caller.call(method, **arguments))


@contextlib.contextmanager
def connected(
    conf: cfg.ConfigOpts, patience_seconds: float = 0.0
) -> collections.abc.Iterator[AgentClient]:
    """Reach the agent for the time of a block.

    :param patience_seconds: how much longer than usual an answer may take
    :raises BusError: when the bus cannot be reached
    """
    # The bus takes half a second to load, which --help has no use for.
    from kvm_balancer.bus import rpc

    caller = rpc.AgentCaller(conf, _TIMEOUT_SECONDS + patience_seconds)
    try:
        yield AgentClient(caller)
    finally:
        caller.close()
