"""Hypervisor drivers: what the rest of the house needs of a hypervisor."""
