"""What the project can do, in figures, measured side by side."""
