"""Commands and questions: calls that are answered, within a time.

A thin layer over oslo.messaging's RPC. Errors that the project raises on
purpose come back as the same class with the same text; anything else, and
silence, as one line. A server answers only the methods that it was given.
"""

import collections.abc
import functools
import logging
from typing import Any

from oslo_config import cfg
import oslo_messaging
from oslo_messaging.rpc import dispatcher

from kvm_balancer import errors
from kvm_balancer.bus import broker
from kvm_balancer.bus import closing
from kvm_balancer.bus import transport

LOG = logging.getLogger(__name__)

AGENT_TOPIC = 'kvm_balancer.agent'
EXECUTOR_TOPIC = 'kvm_balancer.executor'
#: Raised in its minor part when methods, arguments or payloads change. Who is
#: asked has to be of this one or a later one; so executors are upgraded first.
VERSION = '1.4'

#: One retry: the pool's connection may be one that the broker has closed.
_RETRIES = 1

Method = collections.abc.Callable[..., Any]


class _Endpoint:
    """What oslo.messaging looks the methods up on."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(
        self, methods: collections.abc.Mapping[str, Method], who: str
    ) -> None:
        self._methods = methods
        self._who = who

    def __getattr__(self, name: str) -> Method:
        # oslo.messaging looks for a few names of its own.
        if name.startswith(('_', 'oslo_')):
            raise AttributeError(name)
        method = self._methods.get(name)
        if method is None:
            # What oslo.messaging makes of it is a traceback in the log.
            method = self._refuse(name)

        def answer(_context: Any, **arguments: Any) -> Any:
            try:
                return self._answer(name, method, arguments)
            except errors.KVMBalancerError:
                # Sent back without a traceback in the log.
                raise dispatcher.ExpectedException() from None

        return answer

    def _refuse(self, name: str) -> Method:
        def refuse(**_arguments: Any) -> None:
            raise errors.KVMBalancerError(
                f'{self._who} does not know {name}: it may be of another '
                'release'
            )

        return refuse

    def _answer(
        self, name: str, method: Method, arguments: dict[str, Any]
    ) -> Any:
        try:
            return method(**arguments)
        except errors.KVMBalancerError:
            raise
        except Exception as error:
            LOG.exception('%s failed', name)
            raise errors.KVMBalancerError(
                f'{self._who} failed in {name} ({type(error).__name__}: '
                f'{" ".join(str(error).split())}); its log says more'
            ) from None


class Server:
    """Answers calls to one topic, in threads of its own.

    :param server: name under which it is called in person; for an executor
        that of its host
    :param methods: what may be called; they take keyword arguments and
        return plain types
    :param threads: calls that are answered at the same time
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        server: str,
        methods: collections.abc.Mapping[str, Method],
        threads: int = 8,
    ) -> None:
        self._threads = threads
        self._started = False
        self._conf = conf
        self._transport = transport.rpc(conf)
        self._server = oslo_messaging.get_rpc_server(
            self._transport,
            oslo_messaging.Target(topic=topic, server=server),
            [_Endpoint(methods, f'{topic} on {server}')],
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )

    def start(self) -> None:
        """Begin to answer.

        Blocks while the broker cannot be reached: :func:`broker.wait`
        for it first.
        """
        self._started = True
        self._server.start(override_pool_size=self._threads)

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Answer what was begun, and no more; let go of the broker."""
        # oslo.messaging waits for a start that never comes.
        ends = (self._server.stop, self._server.wait) if self._started else ()
        closing.within(
            timeout_seconds,
            'the RPC server',
            *ends,
            functools.partial(transport.release, self._conf, self._transport),
        )


class Client:
    """Calls the servers of one topic; may be used from several threads."""

    def __init__(self, conf: cfg.ConfigOpts, topic: str) -> None:
        self._conf = conf
        self._topic = topic
        self._transport = transport.rpc(conf)
        self._client = oslo_messaging.get_rpc_client(
            self._transport,
            oslo_messaging.Target(topic=topic, version=VERSION),
            retry=_RETRIES,
            # A queue that does not exist is told at once.
            transport_options=oslo_messaging.TransportOptions(
                at_least_once=True
            ),
        )
        self._reached = False

    def call(
        self,
        method: str,
        server: str | None = None,
        timeout_seconds: float = 10.0,
        **arguments: Any,
    ) -> Any:
        """Call *method* and return its answer.

        :param server: who is to answer; None for any server of the topic
        :param arguments: plain types
        :raises BusError: when the broker or the server does not answer
        :raises KVMBalancerError: of the class, and with the text, of what
            the server raised
        """
        if not self._reached:
            broker.check(self._conf, timeout_seconds)
            self._reached = True
        who = f'{self._topic} on {server}' if server else self._topic
        prepared = self._client.prepare(server=server, timeout=timeout_seconds)
        try:
            return prepared.call({}, method, **arguments)
        except errors.KVMBalancerError as error:
            raise _local(error) from None
        except oslo_messaging.MessagingTimeout:
            raise errors.BusError(
                f'{who} did not answer {method} within {timeout_seconds:g} '
                's: check that it runs'
            ) from None
        except oslo_messaging.MessageUndeliverable:
            raise errors.BusError(
                f'{who} is not on the message bus: check that it runs, and '
                'that its transport_url leads to the same broker'
            ) from None
        except oslo_messaging.UnsupportedVersion:
            # as the in-memory transport hands it over
            raise _older(who, method) from None
        except oslo_messaging.RemoteError as error:
            if error.exc_type == oslo_messaging.UnsupportedVersion.__name__:
                raise _older(who, method) from None
            raise errors.KVMBalancerError(
                f'{who} could not answer {method} ({error.exc_type}: '
                f'{error.value}); it may be of another release'
            ) from None
        except oslo_messaging.MessagingException:
            # The line of the connection says more than that of the library.
            broker.check(self._conf, timeout_seconds)
            raise errors.BusError(
                f'{method} could not be sent to {who}: the broker closed '
                'the connection'
            ) from None

    def close(self) -> None:
        """Let go of the broker."""
        closing.within(
            10.0,
            'the RPC client',
            functools.partial(transport.release, self._conf, self._transport),
        )


class AgentCaller:
    """Calls the agent, for who has nothing else to do meanwhile."""

    def __init__(
        self, conf: cfg.ConfigOpts, timeout_seconds: float = 30.0
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._client = Client(conf, AGENT_TOPIC)

    def call(self, method: str, **arguments: Any) -> Any:
        """Call *method* of the agent; raises as :meth:`Client.call`."""
        return self._client.call(
            method, timeout_seconds=self._timeout_seconds, **arguments
        )

    def close(self) -> None:
        """Let go of the broker."""
        self._client.close()


def _older(who: str, method: str) -> errors.KVMBalancerError:
    """Say what to do about a server that was not upgraded yet."""
    return errors.KVMBalancerError(
        f'{who} is of an older release, and answers no {method} of version '
        f'{VERSION}: upgrade it (all executors first, then the agent)'
    )


def _local(error: errors.KVMBalancerError) -> errors.KVMBalancerError:
    """Make the error anew as the server raised it.

    oslo.messaging derives a class for it and appends the other side's
    traceback to its text.
    """
    for kind in type(error).__mro__:
        if kind.__module__ in transport.REMOTE_ERRORS:
            made: errors.KVMBalancerError = kind(*error.args)
            return made
    return errors.KVMBalancerError(*error.args)
