"""A fleet in virtual time, on the policies and the planner of the agent."""
