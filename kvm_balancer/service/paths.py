"""The path of each migration: through its executor, or through Nova.

The owner of an instance decides. The libvirt path refuses what is Nova's by
the agent's own knowledge, whatever a request says; the executor does so once
more, by what it sees in the domain.
"""

import collections.abc
from typing import Protocol

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import request
from kvm_balancer.model import owners
from kvm_balancer.service import commands
from kvm_balancer.service import flights

#: Says whether an instance (a uuid) belongs to Nova, as far as is known.
IsNovas = collections.abc.Callable[[str], bool]


class Cloud(Protocol):
    """Whoever carries out migrations through Nova."""

    def knows(self, migration_id: str) -> bool: ...
    def migrate(self, wanted: request.Request) -> str: ...
    def adopt(
        self, wanted: request.Request, told_unknown: bool = False
    ) -> None: ...
    def cancel(self, migration_id: str, reason: str) -> str: ...
    def settle(self, wish: messages.Settle) -> str: ...
    def state(self, migration_id: str) -> str: ...


class Paths:
    """Sends each command where it belongs.

    :param cloud: None where ``[nova]`` is not set up
    :param behind_nova: dangerous: what is Nova's takes the libvirt path
    """

    def __init__(
        self,
        executors: commands.Executors,
        is_novas: IsNovas,
        cloud: Cloud | None = None,
        behind_nova: bool = False,
    ) -> None:
        self._executors = executors
        self._is_novas = is_novas
        self._cloud = cloud
        self._behind_nova = behind_nova
        #: migrations of an earlier run that went through Nova
        self._orphans: set[str] = set()

    def owner_of(self, instance: str) -> str:
        """Say who is to carry out a migration of *instance*."""
        if self._is_novas(instance) and not self._behind_nova:
            return owners.Owner.NOVA
        return owners.Owner.BALANCER

    def adopt(self, left: collections.abc.Iterable[flights.Flight]) -> None:
        """Take up migrations that an earlier run sent through Nova.

        Those that are unknown are looked at again by :meth:`look_again`.
        """
        for flight in left:
            if flight.wanted.owner != owners.Owner.NOVA or flight.unknown:
                continue
            if self._cloud is None:
                self._orphans.add(flight.wanted.migration_id)
            else:
                self._cloud.adopt(flight.wanted)

    def look_again(
        self, unknown: collections.abc.Iterable[request.Request]
    ) -> None:
        """Take up what went through Nova, and was told to be unknown.

        Without Nova it stays so.
        """
        if self._cloud is not None:
            for wanted in unknown:
                self._cloud.adopt(wanted, told_unknown=True)

    def migrate(self, wanted: request.Request) -> str:
        """Command a migration; asking again changes nothing.

        :returns: the state it is in
        :raises MigrationError: when it is refused
        :raises UnreachableError: when it is not known whether it was taken
        """
        if wanted.owner == owners.Owner.NOVA:
            if self._cloud is None:
                raise errors.MigrationError(
                    f'{wanted.instance} belongs to Nova, and [nova] '
                    'auth_type is not set: nobody is to move it'
                )
            return self._cloud.migrate(wanted)
        if self._is_novas(wanted.instance) and not self._behind_nova:
            raise errors.MigrationError(
                f'{wanted.instance} belongs to Nova: it is not moved behind '
                "Nova's back"
            )
        return self._executors.migrate(wanted)

    def cancel(self, host: str, migration_id: str, reason: str) -> str:
        """Ask for the end of a migration.

        :returns: the state it is in
        :raises NotFound: when nobody has accepted it
        """
        self._refuse_orphan(migration_id)
        if self._cloud is not None and self._cloud.knows(migration_id):
            return self._cloud.cancel(migration_id, reason)
        return self._executors.cancel(host, migration_id, reason)

    def settle(self, host: str, wish: messages.Settle) -> str:
        """Say how a migration ended that is unknown.

        :returns: the state it is in; its outcome follows
        :raises NotFound: when nobody has accepted it
        :raises MigrationError: when more is known of it, with what
        """
        if self._cloud is not None and self._cloud.knows(wish.migration_id):
            return self._cloud.settle(wish)
        return self._executors.settle(host, wish)

    def state(self, host: str, migration_id: str) -> str:
        """Ask where a migration stands.

        :raises NotFound: when nobody has accepted it
        """
        self._refuse_orphan(migration_id)
        if self._cloud is not None and self._cloud.knows(migration_id):
            return self._cloud.state(migration_id)
        return self._executors.state(host, migration_id)

    def _refuse_orphan(self, migration_id: str) -> None:
        if migration_id in self._orphans:
            raise errors.CloudUnreachable(
                f'migration {migration_id} went through Nova, and [nova] '
                'auth_type is not set any more: set it to find out what '
                'became of it'
            )
