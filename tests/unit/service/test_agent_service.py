"""The agent as it runs, over the in-memory bus."""

import dataclasses
import pathlib
import queue
import tempfile
import unittest
import uuid

from oslo_config import cfg

from kvm_balancer.bus import notifications
from kvm_balancer.bus import transport
from kvm_balancer.conf import opts
from kvm_balancer.messages import migration as messages
from kvm_balancer.model import outcome
from kvm_balancer.service import agent_service
from kvm_balancer.store import store as stores
from tests.unit.store import base

TIMEOUT_SECONDS = 60.0


class AgentServiceTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        transport.set_defaults(conf)
        conf.set_override('transport_url', 'fake://')
        # The in-memory transports are those of the whole process.
        conf.set_override('control_exchange', uuid.uuid4().hex)
        # The executor that is asked for what is unknown never answers.
        conf.set_override('rpc_timeout_seconds', 1.0, 'agent')
        path = pathlib.Path(made.name) / 'agent.sqlite'
        conf.set_override('connection', f'sqlite:///{path}', 'database')
        stores.Store(conf, create=True).close()
        self.service = agent_service.AgentService(conf)
        self.addCleanup(self.service.stop)
        self.told = queue.SimpleQueue()
        listener = notifications.OutcomeListener(
            conf, self.told.put, pool='others'
        )
        listener.start()
        self.addCleanup(listener.stop)

    def test_what_no_executor_tells_is_told_on_the_bus_once(self):
        """Also what an earlier run did not live to tell."""
        kinds = outcome.OutcomeKind
        unknown = base.make_outcome(outcome=kinds.UNKNOWN, reason='silence')
        ended = base.make_outcome()
        other = dataclasses.replace(ended, migration_id=base.PLAN)
        self.service.store.migrations.record_outcome(unknown, announce=True)
        self.assertTrue(self.service.start())
        for one in (ended, ended, other):
            self.service.dispatcher.note_outcome(one, announce=True)
        self.assertEqual(
            [unknown, ended, other],
            [
                messages.decode_outcome(self.told.get(timeout=TIMEOUT_SECONDS))
                for _ in range(3)
            ],
        )
