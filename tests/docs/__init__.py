"""Tests of the documentation: what it shows exists, runs as written, and is what the code does."""
