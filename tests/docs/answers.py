"""Compares an answer that a page shows with the one that really came."""

from __future__ import annotations

from typing import Any

_STABLE = frozenset({"type", "status", "last_outcome", "last_status_code", "wire_format", "active"})
"""Members whose values must be those of the page; of all others only the kind of value."""

REST = "…"
"""A member of this name stands for others that the page leaves out."""


def differences(shown: Any, real: Any, path: str = "") -> list[str]:
    """Say where the real answer differs, in shape or in a value that is stable."""
    match shown, real:
        case dict(), dict():
            return _of_objects(shown, real, path)
        case list(), list():
            if not shown or not real:
                return [] if bool(shown) == bool(real) else [f"{path} is {real}"]
            return differences(shown[0], real[0], f"{path}[0]")
    is_other = type(shown) is not type(real)
    if is_other or (path.rpartition(".")[2] in _STABLE and shown != real):
        return [f"{path} is {real!r}"]
    return []


def _of_objects(shown: dict[str, Any], real: dict[str, Any], path: str) -> list[str]:
    wanted = shown.keys() - {REST}
    found = [f"{path}.{name} is not there" for name in sorted(wanted - real.keys())]
    if REST not in shown:
        found += [f"{path}.{name} is not on the page" for name in sorted(real.keys() - wanted)]
    for name in sorted(wanted & real.keys()):
        found += differences(shown[name], real[name], f"{path}.{name}")
    return found
