"""What the policies taken over from others share.

Neither watches the throttle, so auto-converge is used only where the guest
may be slowed down as far as the hypervisor goes. What the request allows is
theirs to use and never to exceed.
"""

import dataclasses

from kvm_balancer.migration import request

ALL_OF_IT = 99


def settle_throttle(options: request.Options) -> request.Options:
    """Turn auto-converge off where its end would have to be watched."""
    return dataclasses.replace(
        options,
        auto_converge=(
            options.auto_converge and options.max_throttle_percent >= ALL_OF_IT
        ),
    )
