"""Tests of the libvirt driver's pure parts."""
