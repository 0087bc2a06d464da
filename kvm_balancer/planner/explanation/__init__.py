"""Why: this move, this place, and not that one; worked out when asked for."""
