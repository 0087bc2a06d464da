"""What is kept: the SQL of the agent, the outbox of the executor."""
