"""Which migrations had the networks of both of their hosts to themselves.

Pure: times are those of the migrations.
"""

import collections
import collections.abc
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """One migration, as long as it may have used the network of its hosts.

    :ivar ended_at: infinity while it runs
    """

    migration_id: str
    hosts: tuple[str, ...]
    began_at: float
    ended_at: float


def sharing(uses: collections.abc.Iterable[Use]) -> set[str]:
    """Return those that met another one at a host of theirs, by id.

    Whichever way that went, and however either ended. One that begins when
    another ends does not meet it.
    """
    at_host: dict[str, list[Use]] = collections.defaultdict(list)
    for one in sorted(uses, key=lambda use: use.began_at):
        for host in one.hosts:
            at_host[host].append(one)
    found: set[str] = set()
    for there in at_host.values():
        # of those before, the one that lasts longest meets whom any meets
        longest = there[0]
        for one in there[1:]:
            if one.began_at < longest.ended_at:
                found.update((longest.migration_id, one.migration_id))
            if one.ended_at > longest.ended_at:
                longest = one
    return found
