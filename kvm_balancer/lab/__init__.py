"""A real fleet on one machine, in network namespaces."""
