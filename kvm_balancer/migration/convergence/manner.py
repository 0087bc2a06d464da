"""How a policy uses what it is allowed, for who predicts its migrations.

It is told before anything is copied, so that nothing but limits and means is
in it. Pure.
"""

import dataclasses
import math

from kvm_balancer.migration import request


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """What is to be expected of a policy; by default of the adaptive one.

    :ivar least_throttle_percent: auto-converge is used only where the guest
        may be slowed down by so much
    :ivar throttles_beside_post_copy: also where post-copy is allowed
    :ivar post_copy: it ends by that where it is allowed
    :ivar by_clock: it is ended when its time is up, and not sooner
    :ivar seconds_per_gib: of memory, which it has where the request has no
        limit in time; 0 for what the profile grants
    :ivar least_gib: that a memory is taken for
    :ivar downtime_steps: by which the limit of the downtime rises as time
        goes by; 0 where it rises as needed
    :ivar step_seconds_per_gib: of memory, how long each of them lasts
    :ivar unheeded: names of options by which it does not decide
    """

    least_throttle_percent: int = 0
    throttles_beside_post_copy: bool = True
    post_copy: bool = True
    by_clock: bool = False
    seconds_per_gib: float = 0.0
    least_gib: float = 0.0
    downtime_steps: int = 0
    step_seconds_per_gib: float = 0.0
    unheeded: tuple[str, ...] = ()

    def settle(self, options: request.Options) -> request.Options:
        """Return *options* without the means that it makes no use of."""
        throttles = (
            options.auto_converge
            and options.max_throttle_percent >= self.least_throttle_percent
            and (self.throttles_beside_post_copy or not options.post_copy)
        )
        return dataclasses.replace(
            options,
            auto_converge=throttles,
            post_copy=options.post_copy and self.post_copy,
        )

    def downtime_ms(self, allowed_ms: int, step: int) -> int:
        """Return the limit of the downtime at a step, from 0."""
        steps = self.downtime_steps
        if not steps:
            return allowed_ms
        first = allowed_ms / steps
        wanted = first + (allowed_ms - first) / steps * min(step, steps)
        return max(1, math.floor(wanted))

    def dropped(self, options: request.Options) -> tuple[str, ...]:
        """Return what was asked for and does not count, by its names.

        What is as it always is was not asked for.
        """
        settled, plain = self.settle(options), request.Options()
        return (
            *(
                name
                for name in ('auto_converge', 'post_copy')
                if getattr(settled, name) != getattr(options, name)
            ),
            *(
                name
                for name in self.unheeded
                if getattr(options, name) != getattr(plain, name)
            ),
        )


ADAPTIVE = Manner()
