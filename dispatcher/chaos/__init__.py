"""Receivers that misbehave: what tests send to, and `manage.py chaos_receiver` runs by hand."""
