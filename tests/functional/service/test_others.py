"""Two agents where one was meant, and what others move: seen for real.

Real agents and executors around a simulated fleet, on a real RabbitMQ.
"""

import concurrent.futures
import json
import logging
import queue
import time
from unittest import mock
import uuid

from oslo_config import cfg

from kvm_balancer.bus import streams
from kvm_balancer.bus import transport
from kvm_balancer.cmd import agent_client
from kvm_balancer.conf import opts
from kvm_balancer.service import agent_service
from kvm_balancer.service import executor_service
from kvm_balancer.service import remembering
from kvm_balancer.store import store as stores
from kvm_balancer.virt.simulated import stage as stages
from kvm_balancer.virt.simulated import world as worlds
from tests.functional.bus import base

HOSTS = ('host-1', 'host-2', 'host-3')
INSTANCES = {'a': 'host-1', 'b': 'host-1', 'c': 'host-2'}
_FLEET = {
    'schema': 'kvm-balancer/fleet/1',
    'hosts': [
        {
            'name': name,
            'cpus': 8,
            'memory_mib': 32768,
            'migration_mib_s': 2000,
        }
        for name in HOSTS
    ],
    'instances': [
        {
            'id': uid,
            'name': uid,
            'host': host,
            'vcpus': 2,
            'memory_mib': 512,
            'cpu_usage': 1.0,
        }
        for uid, host in INSTANCES.items()
    ],
}


class Heard(logging.Handler):
    """What is logged of others, to be waited for."""

    def __init__(self):
        super().__init__()
        self._lines = queue.SimpleQueue()

    def emit(self, record):
        self._lines.put(record.getMessage())

    def until(self, words):
        """Return the next line with *words* in it."""
        while True:
            line = self._lines.get(timeout=base.PATIENCE)
            if words in line:
                return line


class OthersTest(base.BrokerCase):
    """Three hosts, of which nothing is to be done, and who watches them."""

    def setUp(self):
        super().setUp()
        self.file = self.folder / f'{uuid.uuid4()}.json'
        self.file.write_text(json.dumps(_FLEET))
        self.stage = stages.shared(self.file, worlds.Params())
        self.addCleanup(self.stage.close)
        self.services = []
        self.addCleanup(self.stop_services)
        self.heard = Heard()
        logger = logging.getLogger(remembering.__name__)
        logger.addHandler(self.heard)
        self.addCleanup(logger.removeHandler, self.heard)

    def configure(self, url='', **groups):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        transport.set_defaults(conf)
        conf.set_override('transport_url', url or self.broker.url)
        for group, values in groups.items():
            for option, value in values.items():
                conf.set_override(option, value, group=group)
        return conf

    def start(self, service):
        self.services.append(service)
        self.assertTrue(service.start())
        return service

    def stop_services(self):
        """Stop them at once: each waits for seconds until all is idle."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for stopped in [pool.submit(one.stop) for one in self.services]:
                stopped.result()

    def start_executors(self, url=''):
        for name in HOSTS:
            conf = self.configure(
                url,
                host={'name': name},
                executor={
                    'driver': 'simulated',
                    'manage': 'all',
                    'sample_interval_seconds': 0.5,
                    'state_path': f'{self.folder}/{uuid.uuid4()}.sqlite',
                },
                simulated={'fleet': str(self.file)},
            )
            self.start(executor_service.ExecutorService(conf))

    def configure_agent(self, url='', **groups):
        """Configure an agent with a database of its own."""
        path = self.folder / f'{uuid.uuid4()}.sqlite'
        groups.setdefault('agent', {})['interval_seconds'] = 0.5
        conf = self.configure(
            url, database={'connection': f'sqlite:///{path}'}, **groups
        )
        stores.Store(conf, create=True).close()
        return conf

    def start_agent(self, conf):
        return self.start(agent_service.AgentService(conf))

    def status(self, conf):
        with agent_client.connected(conf) as agent:
            return agent.status()

    def until_seen(self, conf):
        """Wait until the agent has written down where all instances are."""
        kept = stores.Store(conf)
        self.addCleanup(kept.close)
        given_up = time.monotonic() + base.PATIENCE
        while len(kept.memories.names('seen/')) < len(INSTANCES):
            self.assertLess(time.monotonic(), given_up)
            self.status(conf)

    def move(self, uid, source, destination):
        """Have somebody else move an instance."""

        def move(world):
            held = world.host(source).holdings.pop(uid)
            world.host(destination).holdings[uid] = held

        self.stage.use(move)

    def test_what_others_move_while_the_agent_is_down_is_noticed(self):
        self.start_executors()
        conf = self.configure_agent()
        before = self.start_agent(conf)
        self.until_seen(conf)
        self.services.remove(before)
        before.stop()
        self.move('a', 'host-1', 'host-3')
        self.start_agent(conf)
        told = self.heard.until('by somebody else')
        self.assertIn('a was moved from host-1 to host-3', told)
        self.assertEqual(1, self.status(conf)['moved_by_others'])

    def test_two_agents_on_one_bus_both_say_so(self):
        self.enterContext(mock.patch.object(streams, '_COUNT_SECONDS', 0.1))
        self.enterContext(mock.patch.object(streams, '_DEAD_SECONDS', 0.5))
        first, second = self.configure_agent(), self.configure_agent()
        self.start_agent(first)
        self.start_agent(second)
        for _ in range(2):
            self.heard.until('another agent is at work on this message bus')
        # whoever of both answers
        for _ in range(2):
            self.assertIn('another agent', self.status(first)['trouble'])

    def test_another_installation_is_told_by_what_it_moves(self):
        """With agents, executors and a bus of its own, on the same hosts."""
        self.start_executors()
        conf = self.configure_agent()
        self.start_agent(conf)
        self.until_seen(conf)
        self.start_executors('fake://')
        self.start_agent(
            self.configure_agent(
                'fake://',
                agent={'mode': 'automatic', 'policies': ['spread']},
                spread={'start': 0.1, 'target': 0.05, 'hold_seconds': 0.0},
            )
        )
        told = self.heard.until('by somebody else')
        self.assertRegex(told, '^[abc] was moved from host-1 to host-3')
        self.assertLess(0, self.status(conf)['moved_by_others'])
