"""Versioned payloads and documents, to and from the model."""
