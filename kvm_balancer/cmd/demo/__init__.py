"""``kvm-balancer demo``: a simulated fleet is balanced before your eyes."""
