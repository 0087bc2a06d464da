"""The driver for libvirt: the only room that imports its library."""
