"""Policies: which objective, and when to act."""
