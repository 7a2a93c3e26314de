"""What a customer notes on a subscription: kept as given, replaced as a whole, audited."""

from __future__ import annotations

import pytest

from subscriptions.access.audit_log import Action
from subscriptions.field_errors import FieldsRefused
from subscriptions.metadata import check_metadata
from subscriptions.models import AuditEntry
from subscriptions.refusal import SettingRefused
from tests.api_client import ApiClient
from tests.factories import make_subscription


def test_the_largest_that_may_be_is_kept_as_it_is() -> None:
    largest = {f"{number:040}": "ü" * 500 for number in range(50)}

    assert check_metadata(largest) == largest
    assert check_metadata({}) == {}


@pytest.mark.parametrize("value", [1, None, [], {}, True, "a\0b", "half \ud800"])
def test_what_is_no_text_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(FieldsRefused) as refused:
        check_metadata({"good": "x", "bad": value})

    assert [(error.field, error.code) for error in refused.value.errors] == [
        ("metadata.bad", "invalid")
    ]


@pytest.mark.parametrize("metadata", [None, "a", ["a"], 5])
def test_what_is_no_object_is_refused(metadata: object) -> None:
    with pytest.raises(SettingRefused):
        check_metadata(metadata)


@pytest.mark.django_db
def test_a_change_replaces_all_of_it_and_is_written_down() -> None:
    subscription = make_subscription(metadata={"customer": "1", "plan": "gold"})
    client = ApiClient(subscription.project)
    path = f"subscriptions/sub_{subscription.id.hex}"

    changed = client.patch(path, {"metadata": {"customer": "2"}}).json()
    other = client.patch(path, {"description": "x"}).json()

    assert changed["metadata"] == other["metadata"] == {"customer": "2"}
    assert client.get(path).json()["metadata"] == {"customer": "2"}
    entry = AuditEntry.objects.filter(action=Action.SUBSCRIPTION_CHANGED).order_by("id")[0]
    assert entry.before == {"metadata": {"customer": "1", "plan": "gold"}}
    assert entry.after == {"metadata": {"customer": "2"}}
