"""Who waits to be sent, and who is next."""

from __future__ import annotations

from uuid import UUID

from deliveries.sending.line import Line

MANY, ONE, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def all_of(line: Line[str]) -> list[str]:
    return [line.next() for _ in range(len(line))]


def test_each_subscription_has_its_turn() -> None:
    line: Line[str] = Line()
    for number in range(3):
        line.join(MANY, f"many {number}")
    line.join(ONE, "one")
    line.join(OTHER, "other")

    assert len(line) == 5
    assert all_of(line) == ["many 0", "one", "other", "many 1", "many 2"]
    assert not line


def test_who_comes_late_does_not_wait_for_a_long_queue() -> None:
    line: Line[str] = Line()
    for number in range(100):
        line.join(MANY, f"many {number}")
    assert line.next() == "many 0"

    line.join(ONE, "one")

    assert [line.next(), line.next()] == ["many 1", "one"]


def test_a_subscription_s_own_keep_their_order() -> None:
    line: Line[str] = Line()
    line.join(MANY, "first")
    line.join(ONE, "one")
    line.join(MANY, "second")
    assert line.next() == "first"
    line.join(MANY, "third")

    assert all_of(line) == ["one", "second", "third"]
