"""Which servers have network ports that are devices of their hosts.

Nova does not tell; Neutron does, where there is one. It is asked for all of
them at first and at intervals, and for those of servers that have changed in
between. Whatever is wrong with it, the rest of the cloud is known all the
same: Nova asks it, too, before it moves such a server.
"""

import collections.abc
import dataclasses
import logging

from kvm_balancer import errors
from kvm_balancer.model.cloud import records
from kvm_balancer.virt.nova import api

LOG = logging.getLogger(__name__)

#: Servers that are named in one question: a URL has 2 KiB by them.
_AT_ONCE = 50
#: More servers than this are asked for by the list of all ports.
_MANY = 1000
#: Looks that are left out after one that failed: one that hangs keeps the
#: whole cloud waiting.
_LEFT_OUT = 5

Servers = dict[str, records.Server]
Uids = collections.abc.Collection[str]


class Ports:
    """Reads ports, and keeps what it has read; one thread at a time."""

    def __init__(self, nova: api.Api) -> None:
        self._nova = nova
        #: types of ports that are devices, by the uuid of their server
        self._devices: dict[str, frozenset[str]] = {}
        #: nothing has changed that was not asked for
        self._complete = False
        self._left_out = 0
        self._trouble = ''

    def all_of(self, servers: Servers) -> Servers:
        """Return *servers* with their ports, all of which are asked for."""
        self._look()
        return self._plugged(servers)

    def changed_of(self, servers: Servers, uids: Uids) -> Servers:
        """Return *servers* with their ports; *uids* are all that changed."""
        if self._left_out:
            self._left_out -= 1
        elif not self._complete or len(uids) > _MANY:
            self._look()
        else:
            self._look(uids)
        return self._plugged(servers)

    def some_of(self, servers: Servers, uids: Uids) -> Servers:
        """Return *servers* with their ports; of *uids* there is news."""
        if self._complete:
            self._look(uids)
        return self._plugged(servers)

    def _look(self, uids: Uids | None = None) -> None:
        """Ask for the ports of *uids*; None for those of all."""
        trouble = ''
        try:
            if uids is None:
                self._devices = _devices(self._nova.ports())
            else:
                self._devices = self._with(tuple(uids))
            self._complete = True
        except errors.KVMBalancerError as error:
            trouble = str(error)
            self._complete = False
            self._left_out = _LEFT_OUT
        if trouble and trouble != self._trouble:
            LOG.warning(
                'Which servers have ports of SR-IOV is not known: %s; whether '
                'they can move is left to Nova',
                trouble,
            )
        elif self._trouble and not trouble:
            LOG.info('Which servers have ports of SR-IOV is known again')
        self._trouble = trouble

    def _with(self, uids: tuple[str, ...]) -> dict[str, frozenset[str]]:
        """Return what is known, *uids* asked for again."""
        found = dict(self._devices)
        for start in range(0, len(uids), _AT_ONCE):
            some = uids[start : start + _AT_ONCE]
            read = _devices(self._nova.ports(some))
            for uid in some:
                found.pop(uid, None)
            found.update(read)
        return found

    def _plugged(self, servers: Servers) -> Servers:
        none: frozenset[str] = frozenset()
        found = dict(servers)
        for uid, one in servers.items():
            devices = self._devices.get(uid, none)
            if one.device_ports != devices:
                found[uid] = dataclasses.replace(one, device_ports=devices)
        return found


def _devices(
    ports: collections.abc.Iterable[records.Port],
) -> dict[str, frozenset[str]]:
    """Return types of ports that are devices, by the uuid of their server.

    :raises CloudError: where the types are hidden
    """
    found: dict[str, frozenset[str]] = {}
    for one in ports:
        if not one.vnic_type:
            raise errors.CloudError(
                'Neutron does not show binding:vnic_type of ports: see its '
                'policies'
            )
        if one.is_device:
            known = found.get(one.device, frozenset())
            found[one.device] = known | {one.vnic_type}
    return found
