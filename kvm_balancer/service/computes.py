"""Computes of Nova, taken out of its placement and put back."""

import typing

from kvm_balancer import errors
from kvm_balancer.model.cloud import records
from kvm_balancer.service import cloud_watch

if typing.TYPE_CHECKING:
    from kvm_balancer.virt.nova import api

#: How reasons begin that are given here: they tell ours from those of others.
MARK = 'kvm-balancer: '
#: Nova refuses longer ones.
_LONGEST = 255


class Computes:
    """Disables and enables the services of computes."""

    def __init__(self, nova: 'api.Api', watch: cloud_watch.CloudWatch) -> None:
        self._nova = nova
        self._watch = watch

    def has(self, host: str) -> bool:
        """Say whether Nova has such a compute.

        What was once heard counts, however old: a compute must not be taken
        for none because Nova does not answer.

        :raises CloudUnreachable: when nothing was heard yet, and Nova does
            not answer
        """
        if host in self._watch.cloud.computes:
            return True
        try:
            return self._nova.service(host) is not None
        except errors.CloudUnreachable:
            if not self._watch.ready.is_set():
                raise
            return False

    def disable(self, host: str, reason: str) -> bool:
        """Let *host* get no servers.

        :returns: False where somebody else has disabled it before: it stays
            theirs
        :raises CloudUnreachable: when Nova does not answer
        :raises NotFound: when it has no such compute
        """
        found = self._nova.service(host)
        if found is None:
            raise errors.NotFound(f'Nova has no compute {host}')
        if not found.enabled and not _is_ours(found):
            return False
        marked = f'{MARK}{reason}'[:_LONGEST]
        if found.enabled or found.disabled_reason != marked:
            self._nova.set_enabled(found.service_id, marked)
            self._watch.forget_services()
        return True

    def enable(self, host: str) -> str:
        """Let *host* get servers, where it is we that keep it from that.

        :returns: why it gets none all the same; empty where it does
        :raises CloudUnreachable: when Nova does not answer
        """
        found = self._nova.service(host)
        if found is None:
            return f'Nova has no compute {host} any more'
        if found.enabled:
            return ''
        if not _is_ours(found):
            because = found.disabled_reason or 'no reason is given'
            return f'others have disabled its compute: {because}'
        self._nova.set_enabled(found.service_id, None)
        self._watch.forget_services()
        return ''


def said(found: records.Compute | None) -> str:
    """Say in a word or two how a compute is; empty where there is none."""
    if found is None:
        return ''
    if found.forced_down:
        return 'forced down'
    if not found.up:
        return 'down'
    if found.enabled:
        return 'up'
    because = found.disabled_reason
    return f'disabled: {because}' if because else 'disabled'


def _is_ours(found: records.Compute) -> bool:
    return found.disabled_reason.startswith(MARK)
