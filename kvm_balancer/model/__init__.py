"""The nouns: fleet, host, instance, sample, plan, outcome.

Pure: nothing here knows a clock, a thread, a socket, a file or an option.
"""
