"""What oslo.messaging needs to reach the broker: its options, its transports.

Owns the project's defaults for them, and how ``transport_url`` is read.
Knows nothing of what is sent.

oslo.messaging tries for ever by default, and blocks while it does. Who
cannot wait calls :func:`.broker.check` first; who has to,
:func:`.broker.wait`.
"""

from typing import Any
import weakref

from oslo_config import cfg
import oslo_messaging
from oslo_messaging import opts
from oslo_utils import importutils

from kvm_balancer import errors

#: Scope of all topics of the project; oslo.messaging's own default is Nova's.
EXCHANGE = 'kvm_balancer'
#: Errors of remote calls that may be made again on this side.
REMOTE_ERRORS = ('kvm_balancer.errors',)

#: Their options of RabbitMQ.
RABBIT = 'oslo_messaging_rabbit'
#: Words of oslo.messaging for the in-memory transport, and of kombu.
IN_MEMORY = ('fake', 'kombu+memory')

#: Who has them, by id: listing the options copies every one, each time.
_HAVE_DEFAULTS: weakref.WeakValueDictionary[int, cfg.ConfigOpts] = (
    weakref.WeakValueDictionary()
)


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Give *conf* the project's defaults for the options of oslo.messaging.

    What the operator configured stays as it is. Queues are durable, since
    an outcome must survive a restart of the broker; ``rabbit_quorum_queue``
    makes them replicated as well.
    """
    if _HAVE_DEFAULTS.get(id(conf)) is conf:
        return
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)
    # These two register themselves on the global configuration only.
    for name in ('metrics', 'tracing'):
        client = importutils.try_import(f'oslo_messaging._{name}.client')
        group = f'oslo_messaging_{name}'
        if client is not None:
            conf.register_opts(getattr(client, group), group=group)
    conf.set_default('control_exchange', EXCHANGE)
    conf.set_default('amqp_durable_queues', True, group=RABBIT)
    _HAVE_DEFAULTS[id(conf)] = conf


def rpc(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport of commands and questions; does not connect.

    :raises ConfigurationError: when ``transport_url`` is none
    """
    return _make(conf, oslo_messaging.get_rpc_transport)


def notification(
    conf: cfg.ConfigOpts,
) -> oslo_messaging.Transport:
    """Return the transport of notifications; does not connect.

    :raises ConfigurationError: when ``transport_url`` is none
    """
    return _make(conf, oslo_messaging.get_notification_transport)


def release(conf: cfg.ConfigOpts, made: oslo_messaging.Transport) -> None:
    """Let go of what :func:`rpc` or :func:`notification` returned."""
    # The in-memory one would empty the queues of the whole process.
    if parse(conf).transport not in IN_MEMORY:
        made.cleanup()


def _make(conf: cfg.ConfigOpts, factory: Any) -> Any:
    parsed = parse(conf)
    try:
        return factory(
            conf, url=parsed, allowed_remote_exmods=list(REMOTE_ERRORS)
        )
    except (oslo_messaging.DriverLoadFailure, ImportError):
        raise errors.ConfigurationError(
            f'transport_url: {parsed.transport!r} is no transport of '
            'oslo.messaging; for RabbitMQ it begins with rabbit://'
        ) from None


def parse(conf: cfg.ConfigOpts) -> oslo_messaging.TransportURL:
    """Read ``transport_url``.

    :raises ConfigurationError: when it is none
    """
    set_defaults(conf)
    try:
        parsed = oslo_messaging.TransportURL.parse(conf)
        if parsed.transport:
            return parsed
    except (oslo_messaging.InvalidTransportURL, ValueError):
        # Its text repeats the URL, password and all.
        pass
    raise errors.ConfigurationError(
        'transport_url cannot be read; it has the form '
        'rabbit://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST, with special '
        'characters in USER and PASSWORD as %XX'
    )
