"""Who may do what, on whose behalf, and what is written down of it."""
