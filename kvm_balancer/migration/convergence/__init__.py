"""Whether a running copy gets anywhere, and what to do where it does not.

:mod:`.contract` is what a plugin promises; :mod:`.adaptive` is the default.
"""
