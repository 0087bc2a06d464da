"""The way to Nova and its like: credentials, versions, what errors mean.

Errors of keystoneauth and openstacksdk end here: what was answered and
refused becomes :class:`.errors.CloudError` or ``NotFound``, what was not
answered, or not so that anything follows from it, ``CloudUnreachable``.
"""

import collections.abc
import logging
from typing import Any
from typing import TypeVar

from keystoneauth1 import exceptions
from keystoneauth1 import loading
from keystoneauth1 import session as sessions
import openstack
from openstack import exceptions as sdk_exceptions
from oslo_config import cfg

from kvm_balancer import errors

LOG = logging.getLogger(__name__)

Answer = TypeVar('Answer')

GROUP = 'nova'

#: Nova 15 (Ocata): services and hypervisors have uuids.
OLDEST = (2, 53)
#: The newest that is known here to be understood: servers with properties of
#: their images. Later ones cost Nova more, and tell nothing that is used.
NEWEST = (2, 98)
#: Placement 1.31: candidates inside one tree of providers.
PLACEMENT = '1.31'

_NOT_FOUND = 404
_TOO_MANY = 429
_UNAUTHORIZED = 401
_SERVER_FAULT = 500


class Cloud:
    """Nova, Placement and Neutron of one cloud, as one user.

    Nothing is asked before the first call. A call that changes something is
    sent once: neither keystoneauth nor the SDK may repeat it.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._connection: Any = None
        self._microversion = ''

    @property
    def microversion(self) -> str:
        """The newest that both sides know.

        :raises CloudError: when Nova is too old
        :raises CloudUnreachable: when it does not answer
        """
        if not self._microversion:
            self._microversion = self._negotiate()
        return self._microversion

    def compute(
        self,
        method: str,
        path: str,
        newest: tuple[int, int] = NEWEST,
        **arguments: Any,
    ) -> Any:
        """Ask Nova; return the document of the answer, None for none.

        :param newest: the newest microversion in which this may be asked
        """
        agreed = tuple(map(int, self.microversion.split('.')))
        version = _dotted(min(agreed, newest))
        return self._ask('Nova', 'compute', method, path, version, arguments)

    def placement(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask Placement; return the document of the answer."""
        return self._ask(
            'Placement', 'placement', method, path, PLACEMENT, arguments
        )

    def network(self, path: str, **arguments: Any) -> Any:
        """Ask Neutron for something; return the document of the answer.

        :raises CloudUnreachable: where the cloud has none, too
        """

        def ask() -> Any:
            connection = self._open()
            endpoint = connection.endpoint_for('network')
            if not endpoint:
                raise exceptions.EndpointNotFound(
                    'no endpoint of the type network'
                )
            return connection.session.get(
                _of_neutron(endpoint) + path, **arguments
            ).json()

        return translated('Neutron', ask)

    def close(self) -> None:
        """Let go of the connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = _connect(self._conf)
        return self._connection

    def _ask(
        self,
        service: str,
        proxy: str,
        method: str,
        path: str,
        version: str,
        arguments: dict[str, Any],
    ) -> Any:
        def ask() -> Any:
            answer = getattr(self._open(), proxy).request(
                path,
                method,
                microversion=version,
                raise_exc=True,
                connect_retries=0 if method != 'GET' else 1,
                status_code_retries=0,
                **arguments,
            )
            return answer.json() if answer.content else None

        return translated(service, ask)

    def _negotiate(self) -> str:
        def look() -> Any:
            # Adapters of compute tell what the service has.
            return self._open().compute.get_endpoint_data()

        found = translated('Nova', look)
        most = getattr(found, 'max_microversion', None)
        if most is None or tuple(most) < OLDEST:
            raise errors.CloudError(
                f'Nova has microversions up to {_dotted(most)}, and '
                f'{_dotted(OLDEST)} is the oldest that is enough: it is of '
                'a release before Ocata, or its endpoint is not versioned'
            )
        chosen = _dotted(min(tuple(most), NEWEST))
        LOG.info('Nova is spoken to in microversion %s', chosen)
        return chosen


def translated(
    service: str, ask: collections.abc.Callable[[], Answer]
) -> Answer:
    """Return what *ask* returns; raise errors of ours.

    :param service: whom is asked, for the operator
    """
    try:
        return ask()
    except exceptions.HttpError as error:
        raise _of_status(service, error.http_status, error) from error
    except sdk_exceptions.HttpException as error:
        raise _of_status(service, error.status_code, error) from error
    except (exceptions.EndpointNotFound, exceptions.CatalogException) as error:
        raise errors.CloudUnreachable(
            f'{service} is not in the catalog: {_line(error)}; see to '
            f'region_name, valid_interfaces and endpoint_override'
        ) from error
    except (
        exceptions.ClientException,
        sdk_exceptions.SDKException,
        OSError,
        ValueError,
    ) as error:
        # A body that is no JSON was perhaps written by a proxy in between.
        raise errors.CloudUnreachable(
            f'{service} does not answer: {_line(error)}'
        ) from error


def _of_status(
    service: str, status: int | None, error: Exception
) -> errors.KVMBalancerError:
    said = f'{service}: {_line(error)}'
    if status == _UNAUTHORIZED:
        return errors.CloudUnreachable(
            f'{said}; see to the credentials in [{GROUP}]'
        )
    if status is None or status >= _SERVER_FAULT or status == _TOO_MANY:
        # A fault after the work was begun looks like one before it.
        return errors.CloudUnreachable(said)
    if status == _NOT_FOUND:
        return errors.NotFound(said)
    return errors.CloudError(said)


def _line(error: Exception) -> str:
    """Return what an error says, in one line."""
    response = getattr(error, 'response', None)
    said = str(error)
    try:
        body = response.json() if response is not None else None
    except ValueError:
        body = None
    if isinstance(body, dict):
        for inner in body.values():
            if isinstance(inner, dict) and inner.get('message'):
                said = str(inner['message'])
    return ' '.join(said.split())


def _connect(conf: cfg.ConfigOpts) -> Any:
    """Open a connection by the options of ``[nova]`` and its neighbours.

    :raises CloudError: when they do not say whom to be
    """
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP)
    except exceptions.ClientException as error:
        raise errors.ConfigurationError(
            f'[{GROUP}] does not say how to authenticate: {_line(error)}'
        ) from error
    if auth is None:
        raise errors.ConfigurationError(
            f'[{GROUP}] auth_type is not set: take v3applicationcredential, '
            'with auth_url, application_credential_id and '
            'application_credential_secret'
        )
    session: sessions.Session = loading.load_session_from_conf_options(
        conf, GROUP, auth=auth
    )
    return openstack.connection.Connection(
        session=session,
        oslo_conf=conf,
        service_types=['compute', 'placement', 'network'],
        app_name='kvm-balancer',
    )


def _of_neutron(endpoint: str) -> str:
    """Return where version 2.0 is, the only one.

    What a catalog has may name it or not; and where it does, Neutron has no
    document of its versions there that could be discovered.
    """
    found = endpoint.rstrip('/')
    return found if found.endswith('/v2.0') else f'{found}/v2.0'


def _dotted(version: Any) -> str:
    return '.'.join(map(str, version)) if version else 'none'
