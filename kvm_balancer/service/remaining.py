"""What is still on a host that is to be empty, by all who know of it.

The fleet has what executors and sources of metrics report, Nova the servers
that it has there. A host is empty where both say so; that nobody says
anything is no emptiness, and told as a doubt.
"""

import collections.abc
import dataclasses
import time

from kvm_balancer.model import fleet as columns
from kvm_balancer.model.cloud import records


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """An instance that is still on a host that is drained.

    :ivar reason: why it will not move; empty while it may
    """

    instance: str
    name: str
    reason: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Besides:
    """What is known of a host besides what the fleet shows on it.

    :ivar doubt: why nobody can say what it runs; empty where somebody can
    :ivar lasting: the doubt has lasted, and is not over in a moment
    :ivar servers: of Nova that run there, and that the fleet has nowhere
    :ivar resting: of Nova that are there and do not run: they are not moved,
        and whoever restarts the host does them no harm
    """

    doubt: str = ''
    lasting: bool = False
    servers: tuple[Left, ...] = ()
    resting: tuple[Left, ...] = ()


#: Returns what was last heard of the cloud, however old.
Heard = collections.abc.Callable[[], records.Cloud]


class Witness:
    """Says what is known of hosts besides the fleet.

    :param heard: None where there is no cloud
    :param patience_seconds: samples, and news of Nova, may be so late
    """

    def __init__(
        self,
        heard: Heard | None,
        patience_seconds: float,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self._heard = heard
        self._patience_seconds = patience_seconds
        self._clock = clock
        #: since when something is not as it should be, by what that is
        self._since: dict[tuple[str, str], float] = {}

    def of(self, host: str, fleet: columns.Fleet, fresh: bool) -> Besides:
        """Say what is known of *host*.

        :param fresh: what was heard of the cloud is believed
        """
        cloud = records.Cloud() if self._heard is None else self._heard()
        found = [one for one in cloud.servers.values() if one.host == host]
        resting = [one for one in found if not one.runs]
        odd = [one for one in found if one.runs and not _seen(fleet, one.id)]
        doubt = self._doubt(host, fleet, cloud, fresh, bool(odd))
        lasting = self._lasts(host, '', bool(doubt))
        reason = f'Nova has it on {host}, where nobody reports it'
        servers = tuple(
            Left(
                one.id,
                one.name,
                reason if self._lasts(host, one.id, True) else '',
            )
            for one in odd
        )
        self._forget(host, {'', *(one.id for one in odd)})
        return Besides(
            doubt,
            lasting,
            servers,
            tuple(
                Left(
                    one.id, one.name, f'it is {one.status} in Nova, and stays'
                )
                for one in resting
            ),
        )

    def _doubt(
        self,
        host: str,
        fleet: columns.Fleet,
        cloud: records.Cloud,
        fresh: bool,
        odd: bool,
    ) -> str:
        row = fleet.host_row.get(host)
        if self._heard is not None and not fresh:
            if not cloud.taken_at:
                return 'Nova was not read yet'
            if host in cloud.computes:
                return 'Nova was not heard of for long'
        if row is not None:
            if fleet.hosts.silent[row]:
                return f'{host} has gone silent: nobody knows what it runs'
            return ''
        if host in cloud.computes and not odd:
            return ''
        return (
            f'{host} does not report: it needs an executor, or a source in '
            '[metrics] sources'
        )

    def _lasts(self, host: str, what: str, there: bool) -> bool:
        """Say whether something is so for longer than a moment."""
        if not there:
            self._since.pop((host, what), None)
            return False
        now = self._clock()
        since = self._since.setdefault((host, what), now)
        return now - since >= self._patience_seconds

    def _forget(self, host: str, still: set[str]) -> None:
        for key in list(self._since):
            if key[0] == host and key[1] not in still:
                del self._since[key]


def _seen(fleet: columns.Fleet, uid: str) -> bool:
    """Say whether a host that is not silent reports an instance."""
    row = fleet.instance_row.get(uid)
    if row is None:
        return False
    return not fleet.hosts.silent[fleet.instances.host[row]]
