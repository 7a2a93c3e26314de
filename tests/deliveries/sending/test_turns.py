"""Places shared among tenants: in turn, and never all of them to one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deliveries.sending.turns import Turns


def take_all(turns: Turns[str]) -> list[str]:
    """Take places until there are none."""
    taken = []
    while (turn := turns.take()) is not None:
        taken.append(turn[1])
    return taken


def test_tenants_take_places_in_turn() -> None:
    turns: Turns[str] = Turns(places=5, places_per_tenant=5)
    for item in ("a1", "a2", "a3", "b1", "b2", "c1"):
        turns.wait(item[0], item)
    assert take_all(turns) == ["a1", "b1", "c1", "a2", "b2"]


def test_a_tenant_keeps_to_its_share() -> None:
    turns: Turns[str] = Turns(places=10, places_per_tenant=2)
    for item in ("a1", "a2", "a3", "b1"):
        turns.wait(item[0], item)
    assert take_all(turns) == ["a1", "b1", "a2"]
    turns.give_back("b")
    assert take_all(turns) == []
    turns.give_back("a")
    assert take_all(turns) == ["a3"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_no_item_is_lost_and_no_limit_exceeded(steps: list[tuple[str, bool]]) -> None:
    turns: Turns[int] = Turns(places=3, places_per_tenant=2)
    under_way: list[str] = []
    begun: list[int] = []

    def take() -> None:
        while (turn := turns.take()) is not None:
            under_way.append(turn[0])
            begun.append(turn[1])
        assert len(under_way) <= 3
        assert max([under_way.count(tenant) for tenant in "abc"]) <= 2

    for number, (tenant, is_end) in enumerate(steps):
        turns.wait(tenant, number)
        if is_end and under_way:
            turns.give_back(under_way.pop(0))
        take()
    while under_way:
        turns.give_back(under_way.pop(0))
        take()
    assert sorted(begun) == list(range(len(steps)))
