"""The cloud as the agent knows it: asked for, and kept fresh by news.

Notifications say what to ask for; the API says how it is. Everything is asked
for again at intervals, for notifications get lost. What is too old is taken
for unknown, and what is unknown is left alone.
"""

import collections.abc
import dataclasses
import logging
import threading
import time
import typing

from kvm_balancer import errors
from kvm_balancer.messages import nova_notifications as notifications
from kvm_balancer.model.cloud import records
from kvm_balancer.model.cloud import rules
from kvm_balancer.service import background

if typing.TYPE_CHECKING:
    from kvm_balancer.virt.nova import inventory

LOG = logging.getLogger(__name__)

#: More changed servers than this are asked for by a list.
_SINGLY = 50
#: News comes in flocks: it is waited for so long before it is followed.
_FLOCK_SECONDS = 0.5
#: A question to Nova may last longer than anybody waits for its end.
_PATIENCE_SECONDS = 10.0
_EMPTY = records.Cloud()


@dataclasses.dataclass(frozen=True, slots=True)
class Params:
    """How fresh it is kept.

    :ivar reconcile_seconds: between two looks at what changed
    :ivar relist_seconds: between two looks at everything
    :ivar stale_seconds: age from which nothing is believed any more
    :ivar allowed: what of the cloud may be moved
    """

    reconcile_seconds: float = 60.0
    relist_seconds: float = 3600.0
    stale_seconds: float = 600.0
    allowed: rules.Params = dataclasses.field(default_factory=rules.Params)


@dataclasses.dataclass(frozen=True, slots=True)
class Knowledge:
    """How much is known of the cloud.

    :ivar age_seconds: since it was last made sure of; None for never
    :ivar stale: it is not believed any more, or not yet
    :ivar trouble: why nothing new is known of it; empty where that is
    """

    servers: int
    computes: int
    age_seconds: float | None
    stale: bool
    trouble: str = ''


class _News:
    """What has changed and was not asked for yet."""

    def __init__(self) -> None:
        self.servers: set[str] = set()
        self.kinds: set[type[notifications.News]] = set()

    def __bool__(self) -> bool:
        return bool(self.servers or self.kinds)


class CloudWatch:
    """Knows the cloud; asks for it in a thread of its own."""

    def __init__(
        self,
        reader: 'inventory.Inventory',
        params: Params,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._params = params
        self._clock = clock
        self._lock = threading.Lock()
        self._news = _News()
        self._rules = rules.Rules(_EMPTY, params.allowed)
        self._listed_at = 0.0
        self._trouble = ''
        #: set once the cloud was read for the first time
        self.ready = threading.Event()
        self._background = background.Background(
            'cloud', self._run, _PATIENCE_SECONDS
        )

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._background.start()

    def stop(self) -> None:
        """End after the question that is being asked."""
        self._background.stop()

    def rules(self) -> rules.Rules:
        """Return what is known; of nothing where it is too old."""
        found = self._rules
        age = self._clock() - found.cloud.taken_at
        if age > self._params.stale_seconds:
            return rules.Rules(_EMPTY, self._params.allowed)
        return found

    @property
    def cloud(self) -> records.Cloud:
        """What was last heard, however old."""
        return self._rules.cloud

    def knowledge(self) -> Knowledge:
        """Say how much is known, for people."""
        cloud = self._rules.cloud
        age = self._clock() - cloud.taken_at if cloud.taken_at else None
        return Knowledge(
            len(cloud.servers),
            len(cloud.computes),
            age,
            age is None or age > self._params.stale_seconds,
            self._trouble,
        )

    def is_novas(self, uid: str) -> bool:
        """Say whether Nova has a server of that uuid, as far as is known."""
        return uid in self._rules.cloud.servers

    def asks_of(self, uid: str) -> tuple[tuple[str, str], ...]:
        """Return what a server asks of its migrations."""
        terms = self._rules.terms(uid)
        return terms.asks if terms else ()

    def take(self, news: notifications.News) -> None:
        """Note news; it is followed soon."""
        with self._lock:
            if isinstance(news, notifications.ServerChanged):
                self._news.servers.add(news.id)
            elif not isinstance(news, notifications.HostMetrics):
                self._news.kinds.add(type(news))
        self._background.wake()

    def forget_services(self) -> None:
        """Ask for the states of services anew: they were just changed."""
        self.take(notifications.ComputesChanged())

    def look(self) -> None:
        """Ask for what is due now.

        :raises CloudUnreachable: when Nova does not answer
        :raises CloudError: when it refuses
        """
        now = self._clock()
        cloud = self._rules.cloud
        with self._lock:
            news, self._news = self._news, _News()
        try:
            if now - self._listed_at >= self._params.relist_seconds:
                cloud = self._all()
                self._listed_at = now
            elif now - cloud.taken_at >= self._params.reconcile_seconds:
                cloud = self._changed(cloud)
            elif news:
                cloud = self._follow(cloud, news)
            else:
                return
        except Exception:
            with self._lock:
                self._news.servers |= news.servers
                self._news.kinds |= news.kinds
            raise
        self._rules = rules.Rules(cloud, self._params.allowed)
        self.ready.set()

    def _all(self) -> records.Cloud:
        now = self._clock()
        servers = self._reader.servers()
        return records.Cloud(
            computes=self._reader.computes(servers),
            servers=servers,
            aggregates=self._reader.aggregates(),
            groups=self._reader.groups(),
            taken_at=now,
        )

    def _changed(self, before: records.Cloud) -> records.Cloud:
        now = self._clock()
        servers = self._reader.changed_servers(before.servers, before.taken_at)
        return records.Cloud(
            computes=self._reader.computes(servers),
            servers=servers,
            aggregates=self._reader.aggregates(),
            groups=self._reader.groups(),
            taken_at=now,
        )

    def _follow(self, cloud: records.Cloud, news: _News) -> records.Cloud:
        """Ask for what news says has changed; the rest is as old as it was."""
        if news.servers:
            cloud = dataclasses.replace(
                cloud, servers=self._servers(cloud, news.servers)
            )
        if notifications.ComputesChanged in news.kinds:
            computes = self._reader.services(cloud.computes)
            cloud = dataclasses.replace(cloud, computes=computes)
        if notifications.AggregatesChanged in news.kinds:
            cloud = dataclasses.replace(
                cloud, aggregates=self._reader.aggregates()
            )
        if news.servers or notifications.GroupsChanged in news.kinds:
            # Who is made in a group becomes its member without news of it.
            cloud = dataclasses.replace(cloud, groups=self._reader.groups())
        return cloud

    def _servers(
        self, cloud: records.Cloud, uids: set[str]
    ) -> dict[str, records.Server]:
        if len(uids) > _SINGLY:
            return self._reader.changed_servers(cloud.servers, cloud.taken_at)
        return self._reader.some_servers(cloud.servers, uids)

    def _run(self) -> None:
        while not self._background.ending:
            trouble = ''
            try:
                self.look()
            except errors.KVMBalancerError as error:
                trouble = str(error)
            except Exception as error:
                # One that has ended would let everything grow stale.
                LOG.exception('A look at the cloud broke')
                trouble = f'{type(error).__name__}: {error}'
            if trouble and trouble != self._trouble:
                LOG.error('Nothing new is known of the cloud: %s', trouble)
            elif self._trouble and not trouble:
                LOG.info('The cloud is known again')
            self._trouble = trouble
            self._background.pause(
                min(5.0, self._params.reconcile_seconds), _FLOCK_SECONDS
            )
