"""Reads what happened: deliveries, attempts, events and whom they matched."""
