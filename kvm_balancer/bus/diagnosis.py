"""What an error of a connection to the broker means, and what to check.

Owns the words for it: one line, for the log and for who typed a command.
"""

import socket
import ssl

from amqp import exceptions as amqp_errors
from kombu import exceptions as kombu_errors

_TLS_PORT = 5671

#: Most special first: some of these are kinds of others.
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        'shows a certificate that is not accepted ({error}): check '
        '[oslo_messaging_rabbit] ssl_ca_file, and the host name in '
        'transport_url',
    ),
    (
        FileNotFoundError,
        'was not asked, since a file of [oslo_messaging_rabbit] ssl_ca_file, '
        'ssl_cert_file or ssl_key_file does not exist',
    ),
    (
        ssl.SSLError,
        'does not speak TLS as configured ({error}): check its port in '
        'transport_url, and [oslo_messaging_rabbit] ssl',
    ),
    (
        amqp_errors.AccessRefused,
        'refuses the user: check user and password in transport_url',
    ),
    (
        amqp_errors.NotAllowed,
        'refuses the virtual host: check it in transport_url, and that the '
        'user has permissions on it ({error})',
    ),
    (
        ConnectionRefusedError,
        'refuses connections: check that RabbitMQ runs there, and host and '
        'port in transport_url',
    ),
    (
        TimeoutError,
        'does not answer: check host and port in transport_url, the network, '
        'and whether the port is one for TLS',
    ),
    (
        socket.gaierror,
        'is not known by that name: check the host in transport_url',
    ),
)


def meaning(error: BaseException, tls: bool) -> str:
    """Return the rest of a sentence that begins with the broker's name.

    :param tls: whether TLS was asked for
    """
    # kombu wraps what it was told.
    if isinstance(error, kombu_errors.OperationalError) and error.__cause__:
        error = error.__cause__
    for kind, text in _MEANINGS:
        if isinstance(error, kind):
            return text.format(error=_line(error))
    check = (
        'check that [oslo_messaging_rabbit] ssl fits its port'
        if tls
        else f'check that it is RabbitMQ (a TLS port, often {_TLS_PORT}, '
        'needs [oslo_messaging_rabbit] ssl)'
    )
    return f'cannot be talked to ({_line(error)}): {check}'


def _line(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
