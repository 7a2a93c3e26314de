"""Event types: their names, examples and schemas."""
