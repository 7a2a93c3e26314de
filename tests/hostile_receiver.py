"""The receivers that misbehave, as tests use them.

They are the product's, so that a customer can run them too: `manage.py chaos_receiver`.
"""

from dispatcher.chaos.broken_answers import dies_when_reused
from dispatcher.chaos.hostile_receiver import HostileReceiver
from dispatcher.chaos.silent import black_hole, never_reading, refusing_port

__all__ = ["HostileReceiver", "black_hole", "dies_when_reused", "never_reading", "refusing_port"]
