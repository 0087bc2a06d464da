"""The life of one migration: its states, and what to do at each fact.

Pure: facts in, wishes out. Knows neither libvirt nor the bus.
"""
