"""The connections of one migration: one for each thing done at a time.

libvirt lets threads share a connection: one of them then waits for the
answers to all. While the call that migrates is that one, another thread's
call may not be noticed before something else comes in, which is a keepalive
message and several seconds later (seen with libvirt 9.0): an eternity for
whoever is to start post-copy at the end of a pass. So nobody shares.
"""

import contextlib
import threading

from kvm_balancer import errors
from kvm_balancer.virt.libvirt import connection
from kvm_balancer.virt.libvirt import notes


class Lines:
    """The connections to both ends.

    :ivar call: to the source, for the call that migrates
    :ivar eyes: to the source, for its events and the job's statistics
    :ivar hands: to the source, for limits, post-copy and abort
    :ivar source: to the source, to look at it before and after
    :ivar destination: to the destination, for the same, and its events
    """

    def __init__(
        self,
        source_uri: str,
        destination_uri: str,
        timing: connection.Timing,
        heard: notes.Notes,
    ) -> None:
        self.call = connection.Connection(source_uri, timing)
        self.eyes = connection.Connection(
            source_uri, timing, heard.listen_source
        )
        self.hands = connection.Connection(source_uri, timing)
        self.source = connection.Connection(source_uri, timing)
        self.destination = connection.Connection(
            destination_uri, timing, heard.listen_destination
        )

    def prepare(self) -> None:
        """Begin to open what a start needs; what fails is tried again then."""
        for one in (self.call, self.eyes, self.hands):
            threading.Thread(target=_open, args=(one,), daemon=True).start()

    def close(self) -> None:
        """Let go of all of them."""
        for one in (
            self.call,
            self.eyes,
            self.hands,
            self.source,
            self.destination,
        ):
            one.close()


def _open(one: connection.Connection) -> None:
    with contextlib.suppress(errors.KVMBalancerError):
        one.call(lambda handle: handle.isAlive())
