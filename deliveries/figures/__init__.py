"""Counts, rates and percentiles of what is in the history."""
