"""Who looks after which migrations away from this host.

The executor guards it by a lock of its own: what is refused here is refused
in the same breath in which another one is accepted.
"""

import collections.abc

from kvm_balancer import errors
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.service import migrations
from kvm_balancer.service import unattended

#: Looks after a migration, or tells that nobody does.
Runner = migrations.MigrationRunner | unattended.Unattended


class Roster:
    """The migrations that have not ended, by id.

    :param host: its name in the fleet
    :param max_outgoing: most migrations away from it at a time; not counted
        is what is unknown, until somebody follows it again
    """

    def __init__(self, host: str, max_outgoing: int) -> None:
        self._host = host
        self._max_outgoing = max_outgoing
        self._runners: dict[str, Runner] = {}
        #: of these, those that were told to be unknown
        self._told: set[str] = set()
        #: and those that are so still
        self._unknown: set[str] = set()
        #: instances of which it is being decided whether they migrate
        self.asked: list[str] = []

    def get(self, migration_id: str) -> Runner | None:
        """Return who looks after a migration, if anybody does."""
        return self._runners.get(migration_id)

    def all(self) -> collections.abc.Mapping[str, Runner]:
        """Return all of them, as they are now."""
        return dict(self._runners)

    def put(self, runner: Runner, unknown: bool = False) -> Runner | None:
        """Have *runner* look after its migration.

        :param unknown: that it is was told
        :returns: who did before
        """
        name = runner.request.migration_id
        before = self._runners.get(name)
        self._runners[name] = runner
        if unknown:
            self.doubt(name)
        return before

    def doubt(self, migration_id: str) -> None:
        """Note that it was told to be unknown how a migration ended."""
        self._told.add(migration_id)
        self._unknown.add(migration_id)

    def stand(self, migration_id: str, state: str) -> None:
        """Take in where a migration stands: what was unknown may run on."""
        if states.stays_unknown(
            migration_id in self._unknown, migration_id in self._told, state
        ):
            self._unknown.add(migration_id)
        else:
            self._unknown.discard(migration_id)

    def drop(self, migration_id: str) -> None:
        """Forget a migration: it has ended."""
        self._runners.pop(migration_id, None)
        self._told.discard(migration_id)
        self._unknown.discard(migration_id)

    def is_free(self, instance: str) -> bool:
        """Say whether no migration of an instance is to be expected."""
        return instance not in self.asked and all(
            runner.request.instance != instance
            for runner in self._runners.values()
        )

    def refuse_more(self, instance: str) -> None:
        """Refuse a second migration of an instance, and one too many.

        :raises MigrationError: with the reason
        """
        for known, runner in self._runners.items():
            if runner.request.instance == instance:
                unknown = ''
                if known in self._unknown:
                    unknown = (
                        ', of which is not known how it ended: see '
                        'kvm-balancer migrations list --unknown'
                    )
                raise errors.MigrationError(
                    f'instance {instance} is in migration '
                    f'{known} already{unknown}'
                )
        count = len(self._runners.keys() - self._unknown)
        if count >= self._max_outgoing:
            raise errors.MigrationError(
                f'{self._host} has {count} migrations under '
                f'way, and [host] max_outgoing is {self._max_outgoing}'
            )
