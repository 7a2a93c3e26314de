"""The list of misbehaviours: each a function, with what must come of it at the sender's.

`answers` and `broken_answers` fill it; the page of `manage.py chaos_receiver` shows it, and tests
hold it against what both transports do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.chaos.threaded_server import Behaviour


@dataclass(frozen=True)
class Misbehaviour:
    """One path of the hostile receiver."""

    path: str
    """Without a leading slash; where it takes a number, with one as an example."""
    behaviour: Behaviour
    does: str
    """One sentence about the receiver."""
    outcome: str
    """What the attempt must end as."""


MISBEHAVIOURS: dict[str, Misbehaviour] = {}
"""By the first part of the path, in the order of the source."""


def comes_to(outcome: str, *, example: str = "") -> Callable[[Behaviour], Behaviour]:
    """Register a behaviour under its name, with dashes; `example` follows the name on the page."""

    def register(behaviour: Behaviour) -> Behaviour:
        name = behaviour.__name__.replace("_", "-")
        does = (behaviour.__doc__ or "").strip()
        MISBEHAVIOURS[name] = Misbehaviour(name + example, behaviour, does, outcome)
        return behaviour

    return register
