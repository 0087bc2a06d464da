"""Keeps the view of one scheduler process fresh.

It begins with the first question: Nova loads its plugins before it forks its
workers, and a thread or a connection from before a fork serves none of them.
Under eventlet the thread is a green one, as Nova has patched what it needs.
"""

import logging
import os
import threading

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import fleet_state
from kvm_balancer.nova_scheduler import view

LOG = logging.getLogger(__name__)

OPTS = [
    cfg.StrOpt(
        'transport_url',
        default='',
        secret=True,
        help="""
Broker of the balancer. Empty for that of Nova itself.
""",
    ),
    cfg.FloatOpt(
        'weight_multiplier',
        default=1.0,
        help="""
Multiplier of the balancer's weigher. 0 switches it off; an aggregate may have
its own as ``kvm_balancer_weight_multiplier``.
""",
    ),
    cfg.FloatOpt(
        'stale_seconds',
        default=120.0,
        min=1.0,
        help="""
Age of the fleet's state from which the balancer stands aside: all hosts then
weigh the same, and none is refused.
""",
    ),
]
#: How Nova reaches its broker, besides the URL.
_TLS = ('ssl', 'ssl_ca_file', 'ssl_cert_file', 'ssl_key_file')
GROUP = cfg.OptGroup('kvm_balancer', title='Options of the balancer in Nova')


class Receiver:
    """Hands out the view of this process.

    :param conf: Nova's configuration
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._pid = 0
        self._view = view.View(0.0)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Listen no more; what is held grows old."""
        self._stop.set()

    def view(self) -> view.View:
        """Return the view; begin to listen if this process has not yet."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._begin()
                    self._pid = os.getpid()
        return self._view

    def _begin(self) -> None:
        self._view = view.View(self._conf.kvm_balancer.stale_seconds)
        try:
            listener = fleet_state.Listener(_ours(self._conf), self._view.take)
            threading.Thread(
                target=listener.run,
                args=(self._stop,),
                name='kvm-balancer',
                daemon=True,
            ).start()
        except errors.KVMBalancerError as error:
            LOG.error('The balancer stands aside: %s', error)
        except Exception:
            # Nova schedules on, whatever is wrong here.
            LOG.exception('The balancer stands aside')


_RECEIVERS: dict[int, Receiver] = {}


def shared(conf: cfg.ConfigOpts) -> Receiver:
    """Return the one receiver of this configuration.

    The weigher and the filter listen once.
    """
    if id(conf) not in _RECEIVERS:
        conf.register_group(GROUP)
        conf.register_opts(OPTS, group=GROUP)
        _RECEIVERS[id(conf)] = Receiver(conf)
    return _RECEIVERS[id(conf)]


def _ours(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return options that lead to the balancer's broker.

    Nova's are left as they are: our defaults are not its own. What it has of
    TLS holds for its own broker.
    """
    own = conf.kvm_balancer.transport_url
    made = cfg.ConfigOpts()
    made([], project='kvm_balancer', default_config_files=[])
    fleet_state.prepare(made)
    made.set_override('transport_url', own or conf.transport_url)
    if not own and 'oslo_messaging_rabbit' in conf:
        for name in _TLS:
            value = conf.oslo_messaging_rabbit[name]
            made.set_override(name, value, 'oslo_messaging_rabbit')
    return made
