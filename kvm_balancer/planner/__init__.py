"""From a fleet to a plan: score, bounds, search, order, explanations."""
