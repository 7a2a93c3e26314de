"""The failure streak: folding verdicts, counting exactly, deactivating once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.deactivation import Verdict, count, deactivate, reactivate, summarise
from subscriptions.models import Subscription
from tests.factories import make_project, make_subscription

FAILURE, SUCCESS = False, True


def verdicts(
    subscription: Subscription,
    *outcomes: bool,
    generation: int | None = None,
    is_gone: bool = False,
) -> list[Verdict]:
    return [
        Verdict(
            subscription.id,
            generation=subscription.generation if generation is None else generation,
            has_succeeded=outcome,
            error="" if outcome else "Your server answered 500.",
            is_gone=is_gone,
        )
        for outcome in outcomes
    ]


def reference_streak(streak: int, outcomes: list[bool], limit: int) -> tuple[int, bool]:
    """Count one outcome at a time, as somebody would on paper."""
    for has_succeeded in outcomes:
        streak = 0 if has_succeeded else streak + 1
        if streak == limit:
            return streak, True
    return streak, False


@given(st.lists(st.booleans(), min_size=1))
def test_a_summary_counts_runs_as_one_would_by_hand(outcomes: list[bool]) -> None:
    run = summarise([Verdict(None, 1, has_succeeded=outcome) for outcome in outcomes])  # type: ignore[arg-type]  # not looked at
    text = "".join("S" if outcome else "F" for outcome in outcomes)
    first, *later = text.split("S")
    assert run.leading_failures == len(first)
    assert run.trailing_failures == len((later or [first])[-1])
    assert run.longest_later_run == max(map(len, later), default=0)
    assert run.has_success == ("S" in text)


@pytest.mark.django_db
@pytest.mark.parametrize("streak", [0, 3, 9])
@pytest.mark.parametrize(
    "letters",
    ["S", "F", "FS", "SF", "F" * 7, "F" * 10, "F" * 12, "S" + "F" * 10, "S" + "F" * 9, "FSFFSFFF"],
)
def test_a_batch_counts_as_its_outcomes_would_one_by_one(streak: int, letters: str) -> None:
    subscription = make_subscription(failure_streak=streak)
    outcomes = [letter == "S" for letter in letters]
    expected_streak, expected_off = reference_streak(streak, outcomes, limit=10)

    deactivated = count(verdicts(subscription, *outcomes))

    subscription.refresh_from_db()
    assert deactivated == ([subscription.id] if expected_off else [])
    assert (subscription.failure_streak, subscription.is_active) == (
        expected_streak,
        not expected_off,
    )


@pytest.mark.django_db
def test_deactivation_keeps_reason_time_and_last_error() -> None:
    subscription = make_subscription(failure_streak=9)
    assert count(verdicts(subscription, FAILURE)) == [subscription.id]
    subscription.refresh_from_db()
    assert subscription.deactivation_reason == "failures"
    assert subscription.deactivated_at is not None
    assert subscription.last_error == "Your server answered 500."
    assert subscription.last_error_at == subscription.deactivated_at


@pytest.mark.django_db
def test_an_inactive_subscription_counts_no_further() -> None:
    subscription = make_subscription(failure_streak=9)
    count(verdicts(subscription, FAILURE))
    assert count(verdicts(subscription, FAILURE, SUCCESS)) == []
    subscription.refresh_from_db()
    assert subscription.failure_streak == 10


@pytest.mark.django_db
def test_gone_deactivates_at_once_and_leaves_the_streak() -> None:
    subscription = make_subscription(failure_streak=3)
    assert count(verdicts(subscription, FAILURE, is_gone=True)) == [subscription.id]
    subscription.refresh_from_db()
    assert (subscription.deactivation_reason, subscription.failure_streak) == ("gone", 3)


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", [FAILURE, SUCCESS])
def test_results_of_an_older_generation_neither_count_nor_reset(outcome: bool) -> None:
    subscription = make_subscription(failure_streak=4)
    older = verdicts(subscription, outcome)
    Subscription.objects.filter(id=subscription.id).update(generation=2)
    count(older)
    subscription.refresh_from_db()
    assert subscription.failure_streak == 4


@pytest.mark.django_db
def test_reactivation_resets_the_streak_and_begins_a_generation() -> None:
    subscription = make_subscription(failure_streak=9)
    count(verdicts(subscription, FAILURE))
    assert reactivate(subscription)
    assert not reactivate(subscription)
    before = subscription.generation
    subscription.refresh_from_db()
    assert subscription.is_active
    assert subscription.failure_streak == 0
    assert subscription.generation == before + 1
    assert subscription.deactivation_reason == ""


@pytest.mark.django_db
def test_switching_off_by_hand_happens_once() -> None:
    subscription = make_subscription()
    assert deactivate(subscription)
    assert not deactivate(subscription)
    subscription.refresh_from_db()
    assert subscription.deactivation_reason == "by_hand"


@pytest.mark.django_db
def test_the_limit_is_the_projects() -> None:
    subscription = make_subscription(project=make_project(failure_limit=2))
    assert count(verdicts(subscription, FAILURE)) == []
    assert count(verdicts(subscription, FAILURE)) == [subscription.id]


@pytest.mark.django_db
def test_a_success_never_deactivates_even_if_the_limit_was_lowered_meanwhile() -> None:
    project = make_project()
    subscription = make_subscription(project=project, failure_streak=8)
    project.failure_limit = 5
    project.save()
    assert count(verdicts(subscription, SUCCESS)) == []
    subscription.refresh_from_db()
    assert (subscription.is_active, subscription.failure_streak) == (True, 0)
