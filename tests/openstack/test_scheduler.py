"""Nova's own scheduler with the balancer's weigher and filter in it."""

import collections
import contextlib
import threading
import time

from kvm_balancer.bus import fleet_state as bus
from kvm_balancer.lab import services
from kvm_balancer.messages import fleet_state
from tests.fixtures import transports
from tests.openstack import agents
from tests.openstack import ground

_WEIGHER = 'kvm_balancer.nova_scheduler.weigher.BalancerWeigher'
_FILTER = 'kvm_balancer.nova_scheduler.filter.BalancerFilter'
_FILTERS = (
    'ComputeFilter',
    'ComputeCapabilitiesFilter',
    'ImagePropertiesFilter',
    'ServerGroupAntiAffinityFilter',
    'ServerGroupAffinityFilter',
    'BalancerFilter',
)
#: Of a busy machine, many times what an agent takes to announce.
_STALE_SECONDS = 15
_REQUESTS = 4


def settings(backend='threading', **options):
    """Return what an operator writes into nova.conf.

    :param backend: how Nova's workers wait: with threads, or green ones
    """
    return {
        'DEFAULT': {'concurrency_backend': backend},
        'filter_scheduler': {
            'weight_classes': (
                f'nova.scheduler.weights.all_weighers,{_WEIGHER}'
            ),
            'available_filters': [
                'nova.scheduler.filters.all_filters',
                _FILTER,
            ],
            'enabled_filters': ','.join(_FILTERS),
        },
        'kvm_balancer': {'stale_seconds': _STALE_SECONDS, **options},
    }


class SchedulerCase(ground.CloudCase):
    """A scheduler that is started anew, with settings and without."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.schedule_by, {})

    def schedule_by(self, found):
        """Start the scheduler anew with settings of its own."""
        self.lab.stop('nova-scheduler')
        services.write_configuration(
            self.lab.files.etc / 'scheduler.conf', found
        )
        self.lab.control.start_scheduler()
        self.lab.control.wait_for_scheduler()

    def place(self, count=_REQUESTS):
        """Boot servers one after another; return where they went."""
        found = []
        for _ in range(count):
            uid = self.ask_for()
            self.wait_until_active(uid)
            found.append(self.places()[uid])
        return found

    def wait_until_heard(self, host):
        """Boot until nothing goes to *host*: the plugins have a state.

        They begin to listen with the first request, and stand aside until
        something came.
        """
        self.wait_for(
            lambda: host not in self.place(1), f'{host} to get nothing new'
        )

    @contextlib.contextmanager
    def told(self, **hosts):
        """Tell schedulers again and again how hosts are, for a block."""
        publisher = bus.Publisher(transports.configured(self.lab.broker.url))
        over = threading.Event()

        def tell():
            while not over.wait(0.2):
                publisher.publish(fleet_state.FleetState(time.time(), hosts))

        telling = threading.Thread(target=tell)
        telling.start()
        try:
            yield
        finally:
            over.set()
            telling.join()
            publisher.close()


class WeigherTest(SchedulerCase):
    """The emptiest compute by Nova's reckoning is the busiest by measure."""

    def setUp(self):
        super().setUp()
        busy = self.boot('cmp1')
        self.calm = self.boot(*['cmp2', 'cmp3'] * 2)
        url = self.enterContext(agents.prometheus(self.lab))
        self.agent = agents.Agent(self.lab, 'placing', url)
        self.loads = dict.fromkeys(busy, 2.0) | dict.fromkeys(self.calm, 0.1)

    def announce(self):
        """Have a real agent tell the schedulers what it measures."""
        self.lab.set_load(self.loads)
        self.agent.start()
        self.addCleanup(self.agent.stop)
        self.wait_for(
            lambda: any(
                one['name'] == 'cmp1' and one['cpu_load'] > 0.2
                for one in self.agent.ask('hosts')
            ),
            'the agent to see that cmp1 is busy',
        )

    def test_without_it_the_busy_compute_gets_more(self):
        self.schedule_by({})
        self.announce()
        self.assertIn('cmp1', self.place(2))

    def test_with_it_the_same_requests_go_elsewhere(self):
        self.announce()
        for backend in ('threading', 'eventlet'):
            with self.subTest(backend):
                self.schedule_by(settings(backend, weight_multiplier=10.0))
                self.wait_until_heard('cmp1')
                self.assertNotIn('cmp1', self.place())


class BurstTest(SchedulerCase):
    """More requests than there is news of what became of them."""

    def told_again(self, loads, **closed):
        """Tell the same loads for a block, with the servers of its begin."""
        there = collections.Counter(self.places().values())
        return self.told(
            **{
                host: fleet_state.HostState(
                    load,
                    closed=closed.get(host, ''),
                    vcpus=self.flavor.vcpus * there[host],
                    vcpu_load=0.1,
                )
                for host, load in loads.items()
            }
        )

    def test_it_does_not_all_go_to_the_calmest_compute(self):
        loads = {'cmp1': 0.2, 'cmp2': 0.25, 'cmp3': 0.3}
        self.schedule_by(settings(weight_multiplier=100.0))
        with self.told_again(loads, cmp1='it is being relieved'):
            self.wait_until_heard('cmp1')
        with self.told_again(loads):
            self.wait_for(
                lambda: 'cmp1' in self.place(1), 'cmp1 to be open again'
            )
            burst = [self.ask_for() for _ in range(6)]
            self.wait_until_active(*burst)
        places = self.places()
        placed = collections.Counter(places[uid] for uid in burst)
        self.assertEqual(set(loads), set(placed))
        self.assertGreater(4, max(placed.values()), placed)


class FilterTest(SchedulerCase):
    def test_a_relieved_compute_gets_nothing_new_until_news_is_old(self):
        """And what is asked for by name goes there all the same."""
        state = fleet_state.HostState
        self.boot(*['cmp2', 'cmp3'] * 2)
        self.schedule_by(settings(weight_multiplier=0.0))
        with self.told(
            cmp1=state(0.1, closed='it is being relieved'),
            cmp2=state(0.5),
            cmp3=state(0.5),
        ):
            self.wait_until_heard('cmp1')
            self.assertNotIn('cmp1', self.place())
            (named,) = self.boot('cmp1')
            self.assertEqual('cmp1', self.places()[named])
        # The state is old by now, or soon: the plugins stand aside.
        self.wait_for(
            lambda: 'cmp1' in self.place(1), 'cmp1 to get servers again'
        )
