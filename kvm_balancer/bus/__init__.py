"""The message bus: oslo.messaging and kombu, and nowhere else."""
