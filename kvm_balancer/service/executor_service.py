"""The executor as a service: its parts, wired to the bus.

Samples and progress go out on streams that may lose them, outcomes through
the outbox, commands come in by RPC. Nothing here decides.
"""

import logging
import threading
import time
from typing import Any

import msgspec
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import notifications
from kvm_balancer.bus import progress
from kvm_balancer.bus import rpc
from kvm_balancer.bus import samples
from kvm_balancer.messages import migration as messages
from kvm_balancer.messages import observation as observation_messages
from kvm_balancer.messages import reservation as reservation_messages
from kvm_balancer.messages import sample as sample_messages
from kvm_balancer.migration import capacity
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import sample
from kvm_balancer.service import collector
from kvm_balancer.service import convergence
from kvm_balancer.service import courier
from kvm_balancer.service import dirty_rates
from kvm_balancer.service import executor
from kvm_balancer.service import hypervisor
from kvm_balancer.service import network
from kvm_balancer.service import observing
from kvm_balancer.service import peers
from kvm_balancer.service import reception
from kvm_balancer.service import reservations
from kvm_balancer.service import sharing
from kvm_balancer.store import outbox
from kvm_balancer.virt import driver

LOG = logging.getLogger(__name__)


class ExecutorService:
    """Everything that runs on one host.

    :param conf: the configuration of this host
    :param hypervisor_driver: instead of the one that *conf* names
    :raises ConfigurationError: when *conf* cannot be carried out
    :raises StoreError: when the executor's file cannot be used
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        hypervisor_driver: driver.Driver | None = None,
    ) -> None:
        self._conf = conf
        self.host: str = conf.host.name
        self._stopping = threading.Event()
        self._driver = hypervisor_driver or hypervisor.load_driver(conf)
        self._convergence = convergence.configured(conf)
        self._memory = outbox.Outbox(conf.executor.state_path)
        self._samples = samples.Publisher(conf, self.host)
        self._progress = progress.Publisher(conf, self.host)
        self._outcomes = notifications.OutcomePublisher(conf, self.host)
        self._courier = courier.Courier(
            self._memory, self._send, conf.executor.outbox_retry_seconds
        )
        self._peers = peers.Peers(conf, self.host)
        self._reception = reception.Reception(
            _reception_params(conf), self._driver, self._memory
        )
        self._observing = observing.Observing(self._driver)
        way = network.Network(self._driver, network.terms(conf))
        self.executor = executor.Executor(
            self.host,
            self._driver,
            self._memory,
            self._make_machine,
            self._tell_progress,
            self._courier.wake,
            conf.host.max_outgoing,
            reserver=reservations.Reservations(
                self._peers,
                sharing.Sharing(self.host, conf.host.migration_mib_s),
                network=way,
            ),
            on_asked=lambda uid: self._dirty_rates.leave_alone(uid),
            ask_state=self._peers.state,
        )
        self._dirty_rates = dirty_rates.DirtyRates(
            self._driver,
            dirty_rates.Params(
                conf.dirty_rate.interval_seconds,
                tuple(sorted(set(conf.dirty_rate.windows_seconds))),
            ),
            self.executor.is_free,
        )
        self._collector = collector.Collector(
            self._driver,
            self._publish_sample,
            self.host,
            hypervisor.host_facts(conf),
            conf.executor.sample_interval_seconds,
            self._dirty_rates.fill,
            lambda: way.carries(
                hypervisor.stream_address(conf), incoming=True
            ),
        )
        self._server = rpc.Server(
            conf,
            rpc.EXECUTOR_TOPIC,
            self.host,
            {
                'migrate': self._migrate,
                'cancel': self._cancel,
                'settle': self._settle,
                'state': self._state,
                'status': self._status,
                'reserve': self._reserve,
                'release': self._release,
                'observe': self._observe,
            },
        )

    def start(self) -> bool:
        """Begin to sample, to take commands and to send what was left.

        Waits for the broker, for as long as it takes.

        :returns: False when it was stopped while it waited
        """
        self._look_at_hypervisor()
        self._collector.start()
        self._dirty_rates.start()
        self._reception.recover()
        self._reception.start()
        self._observing.start()
        self.executor.recover()
        if not broker.wait(self._conf, self._stopping):
            return False
        self._courier.start()
        self._server.start()
        self._peers.warm()
        LOG.info('The executor of %s takes commands', self.host)
        return True

    def stop(self) -> None:
        """Take no more commands, and let go of everything.

        Migrations under way are carried on by the hypervisors.
        """
        self._stopping.set()
        self._server.stop()
        self.executor.stop()
        self._reception.stop()
        self._observing.stop()
        self._dirty_rates.stop()
        self._collector.stop()
        self._courier.stop()
        self._samples.close()
        self._progress.close()
        self._outcomes.close()
        self._peers.close()
        self._driver.close()
        self._memory.close()

    def interrupt(self) -> None:
        """Make :meth:`start` give up waiting; safe in a signal handler."""
        self._stopping.set()

    def _look_at_hypervisor(self) -> None:
        """Say now, and not with the first sample, when it does not answer."""
        trouble = ''
        try:
            self._driver.connect()
        except errors.HypervisorUnreachable as error:
            trouble = str(error)
        if trouble:
            LOG.error('%s Every sample tries again.', trouble)

    def _make_machine(self, wanted: request.Request) -> machine.Machine:
        return machine.Machine(wanted, self._convergence())

    def _publish_sample(self, taken: sample.Sample) -> None:
        self._samples.publish(sample_messages.encode_sample(taken))

    def _tell_progress(
        self,
        wanted: request.Request,
        report: instructions.ReportProgress,
    ) -> None:
        self._progress.publish(
            messages.encode_progress(
                messages.progress(wanted, report, time.time())
            )
        )

    def _send(self, message: outbox.Message) -> None:
        self._outcomes.publish(msgspec.json.decode(message.payload))

    def _migrate(self, command: object) -> str:
        return self.executor.migrate(messages.decode_request(command))

    def _cancel(self, wish: object) -> str:
        wanted = messages.decode_cancel(wish)
        return self.executor.cancel(wanted.migration_id, wanted.reason)

    def _settle(self, wish: object) -> str:
        return self.executor.settle(messages.decode_settle(wish))

    def _state(self, migration_id: object) -> str:
        return self.executor.state(messages.decode_id(migration_id))

    def _reserve(self, ask: object) -> dict[str, Any]:
        return reservation_messages.encode_answer(
            self._reception.reserve(reservation_messages.decode_ask(ask))
        )

    def _release(self, wish: object) -> None:
        wanted = reservation_messages.decode_release(wish)
        self._reception.release(wanted.migration_id)

    def _observe(self, ask: object) -> dict[str, Any]:
        return observation_messages.encode_answer(
            self._observing.ask(observation_messages.decode_ask(ask))
        )

    def _status(self) -> dict[str, Any]:
        return {'host': self.host, 'running': self.executor.running()}


def _reception_params(conf: cfg.ConfigOpts) -> reception.Params:
    """Return what this host offers to instances to come."""
    group = conf.host
    return reception.Params(
        capacity.Terms(
            memory_reserved_mib=group.memory_reserved_mib,
            memory_allocation_ratio=group.memory_allocation_ratio,
            max_incoming=group.max_incoming,
        ),
        lease_seconds=conf.executor.lease_seconds,
        migration_mib_s=group.migration_mib_s,
        network=network.terms(conf),
    )
