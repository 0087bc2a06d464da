"""The bulk call for the statistics of all domains, which does not hang.

``NOWAIT`` makes libvirt skip what would mean to wait for another job of a
domain. It does not help against a QEMU that has itself stopped answering:
the call that comes upon it first waits for as long as that lasts. The next
call finds the domain busy with the first one, skips it, and answers at once
(seen with libvirt 9.0); so when a call does not come back, another is made,
and the first is left to itself.
"""

import collections.abc
import logging
import queue
import threading
from typing import Any

import libvirt

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import failures

LOG = logging.getLogger(__name__)

#: A domain, and what is told of it.
Records = collections.abc.Sequence[tuple[Any, Any]]

_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_DIRTYRATE
)

_FLAGS = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)

#: libvirtd serves five calls of one client at a time by default; the rest
#: are needed for other questions.
_MAX_HANGING = 3


class BulkCall:
    """Asks for the statistics of all active domains.

    :param patience_seconds: a call that is not back then is left alone
    """

    def __init__(
        self, link: connection.Connection, patience_seconds: float = 2.0
    ) -> None:
        self._link = link
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._hanging = 0

    def ask(self) -> Records:
        """Return what libvirt tells of every active domain.

        :raises HypervisorUnreachable: when libvirt does not answer
        """
        answers: queue.SimpleQueue[Records | errors.KVMBalancerError] = (
            queue.SimpleQueue()
        )
        while self._begin():
            threading.Thread(
                target=self._call,
                args=(answers,),
                name='libvirt-statistics',
                daemon=True,
            ).start()
            try:
                answer = answers.get(timeout=self._patience_seconds)
            except queue.Empty:
                LOG.warning(
                    'libvirt at %s is held up, perhaps by an instance whose '
                    'QEMU does not answer; asking without it',
                    self._link.uri,
                )
                continue
            if isinstance(answer, errors.KVMBalancerError):
                raise answer
            return answer
        raise failures.unreachable(
            self._link.uri, f'{_MAX_HANGING} calls for statistics hang'
        )

    def _begin(self) -> bool:
        with self._lock:
            if self._hanging >= _MAX_HANGING:
                return False
            self._hanging += 1
            return True

    def _call(
        self,
        answers: queue.SimpleQueue[Records | errors.KVMBalancerError],
    ) -> None:
        try:
            answers.put(
                self._link.call(
                    lambda handle: handle.getAllDomainStats(_GROUPS, _FLAGS)
                )
            )
        except errors.KVMBalancerError as error:
            answers.put(error)
        finally:
            with self._lock:
                self._hanging -= 1
