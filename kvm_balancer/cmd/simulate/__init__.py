"""``kvm-balancer simulate``: a fleet in virtual time."""
