"""Many deliveries again: what failed, or was missed; in the background, durable."""
