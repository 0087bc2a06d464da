"""Whether the network of migrations of this host has bandwidth left.

The driver tells what goes over it, the operator what it carries, and whoever
asks what our own migrations may use of it; judged is that by
:mod:`..migration.headroom`.
"""

import collections.abc

from oslo_config import cfg

from kvm_balancer.migration import events
from kvm_balancer.migration import headroom
from kvm_balancer.migration import request
from kvm_balancer.virt import driver

#: An option that stands where these say is nobody's word.
_NOBODYS = (cfg.Locations.opt_default, cfg.Locations.set_default)


class Network:
    """The network of migrations of one host.

    :param hypervisor: the driver of that host
    """

    def __init__(
        self, hypervisor: driver.Driver, terms: headroom.Terms
    ) -> None:
        self._hypervisor = hypervisor
        self._terms = terms

    def outgoing(
        self,
        wanted: request.Request,
        others: collections.abc.Collection[float] = (),
    ) -> events.Check:
        """Say whether one more migration may leave.

        :param others: the most that each other one can use, MiB/s; 0 for all
        """
        return headroom.check(
            headroom.SOURCE,
            self._hypervisor.traffic(wanted.stream_address, incoming=False),
            self._terms,
            others,
            wanted.options.bandwidth_mib_s,
        )

    def incoming(
        self,
        address: str,
        options: request.Options,
        others: collections.abc.Collection[float] = (),
    ) -> events.Check:
        """Say whether one more migration may come.

        :param address: of this host, to which it is sent
        """
        return headroom.check(
            headroom.DESTINATION,
            self._hypervisor.traffic(address, incoming=True),
            self._terms,
            others,
            options.bandwidth_mib_s,
        )

    def carries(self, address: str, incoming: bool) -> float | None:
        """Return what the interface of a stream carries, as it says itself.

        :param address: to which the stream is sent
        :returns: MiB/s; None where it does not tell
        """
        return self._hypervisor.interface_mib_s(address, incoming)


def terms(conf: cfg.ConfigOpts) -> headroom.Terms:
    """Return what the operator says of the network of migrations.

    The default of its speed is nobody's word: what the interface tells of
    itself counts then.
    """
    group = conf.host
    found = conf.get_location('migration_mib_s', 'host')
    stated = found is not None and found.location not in _NOBODYS
    return headroom.Terms(
        stated_mib_s=group.migration_mib_s if stated else None,
        free_percent=group.migration_free_percent,
    )
