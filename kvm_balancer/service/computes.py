"""Computes of Nova, taken out of its placement and put back."""

import typing

from kvm_balancer import errors
from kvm_balancer.model.cloud import records
from kvm_balancer.service import cloud_watch

if typing.TYPE_CHECKING:
    from kvm_balancer.virt.nova import api


class Computes:
    """Disables and enables the services of computes."""

    def __init__(self, nova: 'api.Api', watch: cloud_watch.CloudWatch) -> None:
        self._nova = nova
        self._watch = watch

    def disable(self, host: str, reason: str) -> bool:
        """Let *host* get no servers.

        :returns: False where somebody else has disabled it before: it stays
            theirs
        :raises CloudUnreachable: when Nova does not answer
        :raises NotFound: when it has no such compute
        """
        found = self._find(host)
        if not found.enabled:
            return False
        self._nova.set_enabled(found.service_id, reason)
        self._watch.forget_services()
        return True

    def enable(self, host: str) -> None:
        """Let *host* get servers."""
        found = self._find(host)
        if not found.enabled:
            self._nova.set_enabled(found.service_id, None)
            self._watch.forget_services()

    def _find(self, host: str) -> records.Compute:
        for one in self._nova.services():
            if one.name == host:
                return one
        raise errors.NotFound(f'Nova has no compute {host}')
