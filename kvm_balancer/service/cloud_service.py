"""What the agent does with Nova: its parts, wired to each other.

Made only where ``[nova] auth_type`` is set; an agent without Nova has none of
it, and needs none of its libraries.
"""

import logging
import threading
import typing

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import nova_notifications
from kvm_balancer.conf import nova as nova_options
from kvm_balancer.messages import nova_notifications as notifications
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model.cloud import rules
from kvm_balancer.service import cloud_executor
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import cloud_watch
from kvm_balancer.service import computes
from kvm_balancer.service import convergence
from kvm_balancer.service import lent_eyes
from kvm_balancer.service import plugins
from kvm_balancer.service import watch
from kvm_balancer.virt import driver

if typing.TYPE_CHECKING:
    from kvm_balancer.virt.nova import driver as nova_driver

LOG = logging.getLogger(__name__)

#: A broker that has vanished is waited for by who reads from it.
_PATIENCE_SECONDS = 10.0


class CloudService:
    """Everything of the agent that has to do with Nova.

    :param conclude: keeps the outcome of a migration
    :param tell: takes reports of progress
    :param look: asks the executor of a source what it sees
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        conclude: cloud_executor.Conclude,
        tell: cloud_executor.Tell,
        look: lent_eyes.Ask,
    ) -> None:
        self._conf = conf
        self._sources = plugins.load_sources(conf)
        self._samples: cloud_samples.CloudSamples | None = None
        from kvm_balancer.virt.nova import inventory

        nova = _load(conf)
        converge = convergence.configured(conf)

        def make_machine(wanted: request.Request) -> machine.Machine:
            return machine.Machine(wanted, converge())

        def concluded(ended: outcome.Outcome) -> None:
            conclude(ended)
            # Nova may not notify anybody of it.
            self.watch.take(notifications.ServerChanged(ended.instance))

        self.driver = nova
        self.watch = cloud_watch.CloudWatch(
            inventory.Inventory(nova.api), _watch_params(conf)
        )
        self.computes = computes.Computes(nova.api, self.watch)
        self.executor = cloud_executor.CloudExecutor(
            _seen(conf, nova, look),
            make_machine,
            concluded,
            tell,
            self.watch.asks_of,
            conf.nova.max_migrations,
        )
        self._stopping = threading.Event()
        self._listening: threading.Thread | None = None
        if conf.nova_notifications.enabled:
            # It waits for Nova's broker, which may be another than ours.
            self._listening = threading.Thread(
                target=nova_notifications.Listener(conf, self._take).run,
                args=(self._stopping,),
                name='nova-notifications',
                daemon=True,
            )

    def missing(self, fleet: watch.FleetWatch) -> cloud_samples.Missing:
        """Return what nobody knows of the usage of computes and servers."""
        if self._samples is not None:
            return self._samples.missing
        computes = self.watch.cloud.computes.values()
        unseen = [
            one.name
            for one in computes
            if one.up and fleet.facts(one.name) is None
        ]
        return cloud_samples.Missing(tuple(sorted(unseen)))

    def sample(self, fleet: watch.FleetWatch) -> None:
        """Make samples for *fleet*, where there are sources for that."""
        if not self._sources:
            return
        self._samples = cloud_samples.CloudSamples(
            self._sources,
            lambda: self.watch.rules().cloud,
            fleet,
            self._conf.metrics.interval_seconds,
            self._conf.nova.max_per_host,
        )

    def start(self) -> None:
        """Begin to watch the cloud."""
        trouble = ''
        try:
            self.driver.connect()
        except errors.UnreachableError as error:
            trouble = str(error)
        if trouble:
            LOG.error('%s; it is asked again', trouble)
        self.watch.start()
        if self._samples is not None:
            self._samples.start()
        if self._listening is not None:
            self._listening.start()

    def stop(self) -> None:
        """Let go of everything; Nova carries on what is under way."""
        self._stopping.set()
        if self._listening is not None and self._listening.is_alive():
            self._listening.join(_PATIENCE_SECONDS)
        if self._samples is not None:
            self._samples.stop()
        self.watch.stop()
        self.executor.stop()

    def _take(self, news: notifications.News) -> None:
        self.watch.take(news)
        for one in self._sources:
            one.take(news)


def make(
    conf: cfg.ConfigOpts,
    conclude: cloud_executor.Conclude,
    tell: cloud_executor.Tell,
    look: lent_eyes.Ask,
) -> CloudService | None:
    """Return what has to do with Nova; None where it is not set up.

    :raises ConfigurationError: when its options do not fit
    :raises PluginError: when its libraries are not installed
    """
    if not nova_options.auth_type(conf):
        return None
    return CloudService(conf, conclude, tell, look)


def _seen(
    conf: cfg.ConfigOpts, nova: driver.Carriers, look: lent_eyes.Ask
) -> driver.Carriers:
    """Return *nova*, with the eyes of executors where they are wanted."""
    seconds = conf.nova.observe_interval_seconds
    return lent_eyes.SeenCarriers(nova, look, seconds) if seconds else nova


def _load(conf: cfg.ConfigOpts) -> 'nova_driver.NovaDriver':
    try:
        from kvm_balancer.virt.nova import driver as nova_driver
    except ImportError as error:
        raise errors.PluginError(
            f'[nova] auth_type is set, and {error.name} is not installed: '
            "pip install 'kvm-balancer[nova]'"
        ) from error
    return nova_driver.NovaDriver.from_conf(conf)


def _watch_params(conf: cfg.ConfigOpts) -> cloud_watch.Params:
    group = conf.nova
    return cloud_watch.Params(
        reconcile_seconds=group.reconcile_seconds,
        relist_seconds=group.relist_seconds,
        stale_seconds=group.stale_seconds,
        allowed=rules.Params(
            move_pinned=group.move_pinned, move_sriov=group.move_sriov
        ),
    )
