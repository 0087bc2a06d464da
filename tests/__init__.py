"""The project's tests, and how properties are tried in all of them.

Nothing here judges by the clock: on a busy machine, or in a new clone whose
tables of characters are not built yet, making an example takes its time. The
examples are the same in every run; others are tried with another profile.
"""

import hypothesis

hypothesis.settings.register_profile(
    'kvm_balancer',
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('kvm_balancer')
