"""Filters: where an instance may go, with a reason where it may not."""
