"""A fleet that exists in memory only, behind the contract of a driver."""
