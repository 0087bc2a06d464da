"""The driver for libvirt: the only package that imports its library."""
