"""What is encrypted at rest, and the secrets that sign."""
