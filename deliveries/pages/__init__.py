"""Pages about what was sent: history, figures, tests; each from the use cases that the API has."""
