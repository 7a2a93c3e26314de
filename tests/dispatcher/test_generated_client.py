"""A client that somebody else's tool makes from the API's description does the main job."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.dispatcher.test_schemathesis import operators_key
from tests.dispatcher.up_process import embedded_environment, free_port, running_up

pytestmark = pytest.mark.sqlite

DESCRIPTION = Path(__file__).parents[2] / "docs/reference/openapi.yaml"
PROJECT = "demo"
PACKAGE = "generated_client"


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The modules of the generated package, by name."""
    generator = Path(sys.executable).with_name("openapi-python-client")
    generating = subprocess.run(
        [generator, "generate", "--path", DESCRIPTION, "--output-path", PACKAGE, "--meta=none",
         "--fail-on-warning"],
        cwd=tmp_path,
        env={"PATH": str(generator.parent)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert generating.returncode == 0, generating.stdout + generating.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def connected(tmp_path: Path, generated: Callable[[str], Any]) -> Iterator[Any]:
    """The generated client, with the key of a running demo's operator."""
    environment = embedded_environment(tmp_path / "data", free_port())
    with running_up(environment) as up:
        up.wait_for("Publish an event")
        client = generated("client").AuthenticatedClient(
            base_url=up.site, token=operators_key(environment), raise_on_unexpected_status=True
        )
        with client:
            yield client


def test_it_publishes_lists_and_redelivers(generated: Callable[[str], Any], connected: Any) -> None:
    def call(operation: str, **arguments: Any) -> Any:
        return generated(f"api.{operation}").sync(PROJECT, client=connected, **arguments)

    models = generated("models")
    new = models.NewEventRequest.from_dict({"type": "Task.update", "data": {"task": {"id": 7}}})
    published = call("events.publish_event", body=new, idempotency_key="once")
    assert call("events.publish_event", body=new, idempotency_key="once") == published
    delivery_id = published.deliveries[0]  # the demo has a subscription for each preset

    def delivered(attempts: int) -> Any:
        give_up_at = time.monotonic() + 30
        while time.monotonic() < give_up_at:
            delivery = call("deliveries.get_delivery", delivery_id=delivery_id)
            if delivery.status == "succeeded" and delivery.attempt_count == attempts:
                return delivery
            time.sleep(0.1)
        raise AssertionError(delivery)

    first = delivered(1)
    assert first.attempts[0].response.body
    page = call("deliveries.list_deliveries", event_type="Task.update", limit=100)
    assert delivery_id in {delivery.id for delivery in page.results}
    assert call("deliveries.redeliver_delivery", delivery_id=delivery_id).status == "pending"
    assert [attempt.outcome for attempt in delivered(2).attempts] == ["succeeded"] * 2


def test_a_refusal_is_a_problem_with_its_fields(
    generated: Callable[[str], Any], connected: Any
) -> None:
    models = generated("models")
    new = models.NewEventRequest.from_dict({"type": "no such name!", "data": {}})
    publish = generated("api.events.publish_event")
    problem = publish.sync(PROJECT, client=connected, body=new)
    assert isinstance(problem, models.Problem)
    assert [error.field for error in problem.errors] == ["type"]
