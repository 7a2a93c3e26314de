"""Which subscriptions want an event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.matching import LIMIT_FILTERS, check_filters, matches, why
from subscriptions.refusal import SettingRefused

PARTS = st.lists(st.sampled_from(["a", "b", "Task", "x_1"]), min_size=1, max_size=4)


@st.composite
def event_types(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(["a", "b", "Task"]))
    for part in draw(PARTS):
        name += draw(st.sampled_from(".:/-")) + part
    return name


@st.composite
def filter_entries(draw: st.DrawFn) -> str:
    name = draw(st.one_of(event_types(), st.sampled_from(["a", "b", "Task"])))
    return draw(st.sampled_from([name, name + ".*", name + ":*", "*"]))


@pytest.mark.parametrize(
    ("entry", "event_type"),
    [
        ("Task.update", "Task.update"),
        ("*", "Task.update"),
        ("*", "anything"),
        ("Task.*", "Task.update"),
        ("translations:*", "translations:batch_delete"),
        ("jobs:*", "jobs:locale:complete"),
        ("jobs:locale:*", "jobs:locale:review:complete"),
        ("v2/*", "v2/order.paid"),
        ("order-*", "order-paid"),
    ],
)
def test_a_filter_wants_what_it_names_and_all_below(entry: str, event_type: str) -> None:
    assert matches([entry], event_type)
    assert why([entry], event_type) == entry


@pytest.mark.parametrize(
    ("entry", "event_type"),
    [
        ("Task.update", "Task.updated"),
        ("Task.update", "task.update"),
        ("Task.update", "Task"),
        ("Task.*", "Task"),
        ("Task.*", "Task:update"),
        ("Task.*", "Tasks.update"),
        ("Task.*", "My.Task.update"),
        ("jobs:locale:*", "jobs:start"),
        ("jobs:locale:*", "jobs:locales"),
    ],
)
def test_a_filter_does_not_want_its_neighbours(entry: str, event_type: str) -> None:
    assert not matches([entry], event_type)
    assert why([entry], event_type) is None


def test_the_first_filter_that_wants_the_event_is_the_reason() -> None:
    assert why(["Doc.*", "Task.*", "Task.update", "*"], "Task.update") == "Task.*"


def test_no_filters_want_nothing() -> None:
    assert not matches([], "Task.update")


@given(st.lists(filter_entries(), min_size=1, max_size=6), event_types())
def test_matching_agrees_with_reading_each_filter_literally(
    filters: list[str], event_type: str
) -> None:
    def wants(entry: str) -> bool:
        if entry.endswith("*"):
            return event_type.startswith(entry[:-1])
        return entry == event_type

    wanting = [entry for entry in filters if wants(entry)]

    assert matches(filters, event_type) == bool(wanting)
    assert why(filters, event_type) == (wanting[0] if wanting else None)


@given(st.lists(filter_entries(), min_size=1, max_size=8))
def test_filters_are_kept_in_order_and_each_once(filters: list[str]) -> None:
    checked = check_filters(filters)

    assert set(checked) == set(filters)
    assert len(set(checked)) == len(checked)
    assert list(checked) == sorted(set(filters), key=filters.index)


@given(event_types(), st.integers(min_value=0))
def test_a_prefix_that_ends_at_a_separator_is_a_filter_and_others_are_not(
    event_type: str, cut: int
) -> None:
    prefix = event_type[: 1 + cut % len(event_type)]

    if prefix[-1] in ".:/-":
        assert check_filters([prefix + "*"]) == (prefix + "*",)
    else:
        with pytest.raises(SettingRefused):
            check_filters([prefix + "*"])


@pytest.mark.parametrize(
    "entry",
    [
        "Tas*",
        "",
        " ",
        ".*",
        "Task.**",
        "Task.*.update",
        "*.update",
        "**",
        "Task..*",
        "Task.",
        "T ask",
        "Task.*\n",
        "a" * 129,
        "a" * 129 + ".*",
    ],
)
def test_an_entry_that_is_no_filter_is_refused_by_name(entry: str) -> None:
    with pytest.raises(SettingRefused) as caught:
        check_filters(["Doc.update", entry])

    assert repr(entry)[:40] in str(caught.value)


@pytest.mark.parametrize(
    "filters", [None, [], (), "*", "Task.update", {"*": 1}, [None], [7], [["*"]], [{}]]
)
def test_what_is_no_list_of_filters_is_refused(filters: object) -> None:
    with pytest.raises(SettingRefused):
        check_filters(filters)


def test_at_most_a_hundred_filters_are_accepted() -> None:
    filters = [f"Task.update{number}" for number in range(LIMIT_FILTERS)]

    assert check_filters(filters) == tuple(filters)
    with pytest.raises(SettingRefused, match="100"):
        check_filters([*filters, "Task.create"])
