"""``enabled_filters``: nothing new for hosts that are drained or relieved.

Loaded by Nova only.
"""

import collections.abc
import logging
from typing import Any

import nova.conf
from nova.scheduler import filters

from kvm_balancer.nova_scheduler import receiver

LOG = logging.getLogger(__name__)
_RECEIVER = receiver.shared(nova.conf.CONF)


class BalancerFilter(filters.BaseHostFilter):  # type: ignore[misc]
    """Passes hosts that the balancer does not take instances away from."""

    #: asked anew for a server that is rebuilt in place: it stays there
    RUN_ON_REBUILD = False

    def filter_all(
        self,
        filter_obj_list: collections.abc.Iterable[Any],
        spec_obj: Any,
    ) -> list[Any]:
        """Return the hosts that may get a new server.

        Where all are closed, those that are merely relieved are open: nobody
        is to be without a server for the sake of balance, and a plan for
        most of a cloud takes from most of its hosts.
        """
        hosts = list(filter_obj_list)
        passed = [one for one in hosts if self._filter_one(one, spec_obj)]
        if passed:
            return passed
        view = _RECEIVER.view()
        return [one for one in hosts if view.gives_way(one.host)]

    def host_passes(self, host_state: Any, filter_properties: Any) -> bool:
        """Say whether a host may get a new server.

        One that is asked for by name is passed: by an operator, or by the
        balancer itself, whose moves may go to a host that others leave.
        """
        if _is_named(filter_properties):
            return True
        reason = _RECEIVER.view().closed(host_state.host)
        if reason:
            LOG.debug('%s gets nothing new: %s', host_state.host, reason)
        return not reason


def _is_named(asked: Any) -> bool:
    """Say whether a request is for one host; fields may not be set."""
    wanted = _field(asked, 'requested_destination')
    return wanted is not None and bool(_field(wanted, 'host'))


def _field(found: Any, name: str) -> Any:
    return getattr(found, name) if name in found else None
