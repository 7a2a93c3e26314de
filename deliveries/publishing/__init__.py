"""From an event to its deliveries: checked, matched, stored, once."""
