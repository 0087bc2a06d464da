"""Tests of the libvirt driver's pure parts."""

import importlib.util
import unittest

if importlib.util.find_spec('libvirt') is None:
    raise unittest.SkipTest('libvirt-python is not installed')
