"""The wish that a migration ends, told to libvirt until it is heard."""

import contextlib
import threading
import time

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection

#: How often a job is told again to end that did not hear it.
_AGAIN_SECONDS = 1.0


class Abort:
    """The end of one job, on demand.

    :ivar wanted: somebody asked for it
    """

    def __init__(self, link: connection.Connection, instance: str) -> None:
        self.wanted = False
        self._link = link
        self._instance = instance
        self._tried_at = 0.0
        #: one that hangs holds up those after it: no more are sent
        self._telling = threading.Lock()

    def tell(self) -> None:
        """Tell libvirt, now.

        :raises Refused: when there is no job, or it may not be aborted
        :raises NotFound: when the domain is gone
        """
        self._tried_at = time.monotonic()
        self._link.call(
            lambda handle: handle.lookupByUUIDString(self._instance).abortJob()
        )

    def tell_again(self) -> None:
        """Tell libvirt once more where it was told some time ago.

        In a thread of its own: abortJob hangs where QEMU's monitor is dead,
        and the eyes have to stay open.
        """
        if time.monotonic() - self._tried_at >= _AGAIN_SECONDS:
            self._tried_at = time.monotonic()
            threading.Thread(target=self._quietly, daemon=True).start()

    def _quietly(self) -> None:
        if not self._telling.acquire(blocking=False):
            return
        try:
            with contextlib.suppress(errors.KVMBalancerError):
                self.tell()
        finally:
            self._telling.release()
