"""Means that were allowed, and that the hosts or the instance do not have.

Pure. To allow one is not to demand it: a migration that cannot have it goes
without, whoever allowed it, and its story says so.
"""

import collections.abc
import dataclasses

from kvm_balancer.migration import events
from kvm_balancer.migration import request

#: The check that says whether post-copy can be had.
POST_COPY = 'post-copy'


def settle(
    options: request.Options, checks: collections.abc.Iterable[events.Check]
) -> request.Options:
    """Return *options* without the means that *checks* say to forgo."""
    if any(
        one.name == POST_COPY and one.verdict is events.Verdict.FORGONE
        for one in checks
    ):
        return dataclasses.replace(options, post_copy=False)
    return options
