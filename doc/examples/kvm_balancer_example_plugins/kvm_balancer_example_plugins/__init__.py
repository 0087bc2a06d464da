"""Plugins for kvm-balancer, to begin from."""
