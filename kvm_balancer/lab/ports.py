"""Ports for the laboratory's servers that nobody else has."""

import errno
import os
import secrets
import socket

from kvm_balancer import errors

#: Linux gives ports above them to outgoing connections.
_PORTS = range(20_000, 32_000)

#: Of this process: what it was given before may not be listened at yet.
_given: set[int] = set()


def free(address: str = '127.0.0.1') -> int:
    """Return a port on which nobody listens now, and each only once.

    It is below those that the system gives to connections of anybody's:
    they could have taken it by the time that its server listens.

    :raises LabError: when the address is not one of this machine
    """
    while True:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise errors.LabError(
                    f'address {address} is not one of this machine: '
                    f'{os.strerror(error.errno or 0)}'
                ) from None
            _given.add(port)
            return port
