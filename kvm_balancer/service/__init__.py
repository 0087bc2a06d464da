"""The agent and the executor: wiring and loops."""
