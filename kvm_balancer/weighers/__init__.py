"""Weighers: which of the allowed places is better."""
