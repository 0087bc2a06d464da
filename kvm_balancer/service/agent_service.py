"""The agent as a service: its parts, wired to the bus and the store."""

import logging
import threading
import time

import msgspec
from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import fleet_state
from kvm_balancer.bus import notifications
from kvm_balancer.bus import progress
from kvm_balancer.bus import rpc
from kvm_balancer.bus import samples
from kvm_balancer.conf import policy_scopes
from kvm_balancer.conf import windows
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import execution
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.model.cloud import records
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner import cooldown
from kvm_balancer.policies import decision
from kvm_balancer.service import agent
from kvm_balancer.service import agent_api
from kvm_balancer.service import announcing
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import cloud_service
from kvm_balancer.service import commands
from kvm_balancer.service import convergence
from kvm_balancer.service import courier
from kvm_balancer.service import dispatcher
from kvm_balancer.service import drain_api
from kvm_balancer.service import drains
from kvm_balancer.service import executor_client
from kvm_balancer.service import paths
from kvm_balancer.service import plugins
from kvm_balancer.service import recovery
from kvm_balancer.service import restraint
from kvm_balancer.service import watch
from kvm_balancer.store import outbox
from kvm_balancer.store import store as stores

LOG = logging.getLogger(__name__)

#: Name under which the agent answers questions.
SERVER = 'agent'

#: Pause before an outcome is told again that the broker did not take.
_TELL_AGAIN_SECONDS = 5.0


class AgentService:
    """Everything that runs in the control plane.

    :raises ConfigurationError: when *conf* cannot be carried out
    :raises StoreError: when the database cannot be used
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._stopping = threading.Event()
        rules = convergence.read_migration(conf)
        context = plugins.make_context(conf, rules)
        decider = _decider(conf, context)
        self.store = stores.Store(conf)
        self._outcomes = notifications.OutcomePublisher(conf)
        self._courier = courier.Courier(
            self.store.announcements, self._announce, _TELL_AGAIN_SECONDS
        )
        self._executors = executor_client.ExecutorClient(
            conf, conf.agent.rpc_timeout_seconds
        )
        self.cloud = cloud_service.make(
            conf,
            lambda ended: self._conclude(ended, announce=True),
            self._note_progress,
            self._executors.observe,
        )
        known = None if self.cloud is None else self.cloud.watch.rules
        self.fleet = watch.FleetWatch(
            watch.params(conf, known is not None), known=known
        )
        if self.cloud is not None:
            self.cloud.sample(self.fleet)
        self._paths = paths.Paths(
            self._executors,
            self._is_novas,
            None if self.cloud is None else self.cloud.executor,
            conf.nova.dangerous_migrate_behind_nova,
        )
        self.dispatcher = dispatcher.Dispatcher(
            self.store,
            self._paths,
            _cooldowns(conf),
            context.filters,
            self.fleet.facts,
            _dispatch_params(conf, rules),
            restraint=restraint.read(conf),
            owner_of=self._paths.owner_of,
            on_announcement=self._courier.wake,
        )
        self.drains = drains.Drains(
            self.store.drains,
            self.fleet.drain,
            None if self.cloud is None else self.cloud.computes,
        )
        (emptying,) = plugins.load_policies(conf, ['drain'])
        self.agent = agent.Agent(
            self.fleet,
            decider,
            self.dispatcher,
            self.store,
            execution.PlanMode(conf.agent.mode),
            conf.agent.interval_seconds,
            conf.agent.keep_days,
            drains=agent.Draining(self.drains, emptying),
        )
        self._states = fleet_state.Publisher(conf)
        self._announcer = announcing.Announcer(
            self.fleet.snapshot,
            self.dispatcher.expected,
            self._known_cloud,
            self._states.publish,
            conf.agent.announce_seconds,
        )
        self._reading = self._make_readers()
        self._listener = notifications.OutcomeListener(
            conf, self._take_outcome
        )
        self._server = self._make_server()

    def start(self) -> bool:
        """Begin to watch, to answer and to decide.

        Waits for the broker, for as long as it takes.

        :returns: False when it was stopped while it waited
        """
        self.dispatcher.recover()
        self.dispatcher.memory.recover(self.agent.decider.credits)
        self.agent.history.recover(time.time())
        self.drains.recover()
        if self.cloud is not None:
            self.cloud.start()
        self._paths.adopt(self.dispatcher.flights.all())
        self._paths.look_again(recovery.unknown(self.store, owners.Owner.NOVA))
        if not broker.wait(self._conf, self._stopping):
            return False
        for thread in self._reading:
            thread.start()
        self._listener.start()
        self._courier.start()
        self._server.start()
        self.agent.start()
        self._announcer.start()
        LOG.info('The agent is up, in the mode %s', self._conf.agent.mode)
        return True

    def stop(self) -> None:
        """Decide no more, and let go of everything."""
        self._stopping.set()
        self._announcer.stop()
        self._states.close()
        self.agent.stop()
        if self.cloud is not None:
            self.cloud.stop()
        self._server.stop()
        self._listener.stop()
        self._courier.stop()
        self._outcomes.close()
        for thread in self._reading:
            if thread.is_alive():
                thread.join()
        self._executors.close()
        self.store.close()

    def interrupt(self) -> None:
        """Make :meth:`start` give up waiting; safe in a signal handler."""
        self._stopping.set()

    def _make_server(self) -> rpc.Server:
        """Make what answers questions."""
        cloud = self.cloud
        api = agent_api.AgentApi(
            self._conf,
            self.agent,
            self.store,
            self._missing,
            lambda: None if cloud is None else cloud.watch.knowledge(),
        )
        of_drains = drain_api.DrainApi(
            self.agent,
            self.drains,
            self._conf.samples.silent_after_seconds,
            None if cloud is None else lambda: cloud.watch.cloud,
        )
        return rpc.Server(
            self._conf,
            rpc.AGENT_TOPIC,
            SERVER,
            api.methods() | of_drains.methods(),
        )

    def _make_readers(self) -> list[threading.Thread]:
        """Make the threads that read samples and progress."""
        conf = self._conf
        readers = {
            'samples': samples.reader(
                conf,
                self.fleet.take,
                conf.samples.queue_length,
                conf.samples.queue_ttl_seconds,
                conf.samples.batch_size,
                conf.samples.batch_seconds,
                lambda: self.dispatcher.memory.other_reader(time.time()),
            ),
            'progress': progress.reader(
                conf,
                self._take_progress,
                conf.bus.progress_length,
                conf.bus.progress_ttl_seconds,
            ),
        }
        return [
            threading.Thread(
                target=reader.run,
                args=(self._stopping,),
                name=name,
                daemon=True,
            )
            for name, reader in readers.items()
        ]

    def _take_outcome(self, payload: dict[str, object]) -> None:
        """Keep an outcome; whatever is raised makes it come again."""
        self._conclude(messages.decode_outcome(payload))

    def _announce(self, message: outbox.Message) -> None:
        self._outcomes.publish(msgspec.json.decode(message.payload))

    def _conclude(
        self, ended: outcome.Outcome, announce: bool = False
    ) -> None:
        # First: who finds its slot free has to know where it failed.
        self.drains.note_outcome(ended)
        self.dispatcher.note_outcome(ended, announce)
        self.agent.wake()

    def _missing(self) -> cloud_samples.Missing:
        if self.cloud is None:
            return cloud_samples.Missing()
        return self.cloud.missing(self.fleet)

    def _known_cloud(self) -> records.Cloud:
        """Return what Nova knows; empty where that is too old."""
        if self.cloud is None:
            return records.Cloud()
        return self.cloud.watch.rules().cloud

    def _is_novas(self, uid: str) -> bool:
        """Say whether an instance is Nova's, by its host or by Nova."""
        return self.fleet.is_novas(uid) or (
            self.cloud is not None and self.cloud.watch.is_novas(uid)
        )

    def _take_progress(self, bodies: list[bytes]) -> None:
        """Note how far migrations are; what cannot be read is passed over."""
        for body in bodies:
            try:
                told = messages.decode_progress(msgspec.json.decode(body))
            except (errors.DocumentError, msgspec.DecodeError) as error:
                LOG.warning('A progress report was refused: %s', error)
                continue
            self._note_progress(told)

    def _note_progress(self, told: messages.Progress) -> None:
        try:
            self.dispatcher.note_progress(told)
        except errors.StoreError as error:
            # The outcome brings the whole story.
            LOG.warning('A progress report was not kept: %s', error)


def _decider(
    conf: cfg.ConfigOpts, context: contexts.Context
) -> decision.Decider:
    """Make what decides, by the policies of each place."""
    assigned = policy_scopes.read(conf)
    watches = [
        decision.Watch(policy, plugins.hold_seconds(conf, policy.name))
        for policy in plugins.load_assigned(conf, assigned)
    ]
    return decision.Decider(
        watches, context, assigned, time.monotonic, windows.read(conf)
    )


def _cooldowns(conf: cfg.ConfigOpts) -> cooldown.Cooldowns:
    return cooldown.Cooldowns(
        cooldown.Params(
            conf.agent.instance_cooldown_seconds,
            conf.agent.host_cooldown_seconds,
            conf.agent.undo_seconds,
        )
    )


def _dispatch_params(
    conf: cfg.ConfigOpts, rules: scopes.Scopes
) -> dispatcher.Params:
    return dispatcher.Params(
        migration=rules,
        max_migrations=conf.agent.max_migrations,
        max_by_owner={owners.Owner.NOVA: conf.nova.max_migrations},
        patience=commands.Params(
            retry_seconds=conf.agent.command_retry_seconds,
            lost_seconds=conf.agent.command_lost_seconds,
        ),
    )
