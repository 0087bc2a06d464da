"""Instances that Nova owns, moved and looked at through its API."""
