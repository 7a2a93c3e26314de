"""One file for each case: what it sets up, what it measures, and what that shall be."""
