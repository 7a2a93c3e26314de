"""Every command in the README, the quickstart and the how-tos is run as written.

Against one `manage.py up`, as `make run` starts it. What cannot be run here is listed with the
reason; a JSON block that follows commands is what they answer.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.dispatcher.up_process import Up, embedded_environment, free_port, running_up
from tests.docs.answers import differences
from tests.docs.pages import PAGES, ROOT, Block, blocks_of
from tests.docs.shell import Shell
from tests.workers import eventually

NOT_RUN = {
    "make run": "the fixture starts what it starts",
    "make check": "CI runs it",
    "cat > .env": "run by a test of its own, elsewhere",
    "docker compose": "needs Docker",
    "pip install --require-hashes": "installs, and needs PostgreSQL and Redis: "
    "tests/test_production_processes.py starts these processes",
    "pip install -r webhook-dispatcher": "installs into somebody's project",
    "python manage.py make_encryption_key": "tests/docs/test_encryption_key_page.py runs this",
    "python manage.py rotate_encryption_key": "tests/docs/test_encryption_key_page.py runs this",
    "python manage.py migrate\nexport": "tests/docs/test_in_process.py runs these in a project",
}
"""How a block begins → why it is not run here."""

ROUTES = "/api/v1/projects/demo"


def is_run(block: Block) -> bool:
    return not block.text.startswith(tuple(NOT_RUN))


def pages_with_commands() -> list[str]:
    return [page for page in PAGES if any(map(is_run, blocks_of(page, "sh")))]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The demo, as `make run` starts it."""
    data = tmp_path_factory.mktemp("data")
    with running_up(embedded_environment(data, free_port())) as running:
        running.wait_for("Publish an event:")
        yield running


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


def _was_tried(delivery: dict[str, Any]) -> bool:
    return bool(delivery["attempt_count"])


class Reader:
    """Somebody who works through a page: runs its commands, compares its answers."""

    def __init__(self, up: Up, tmp_path: Path) -> None:
        self.up = up
        self.port = free_port()
        self.values = {"KEY": up.printed("API key")}
        self.log = tmp_path / "receiver.log"

    def call(self, path: str, body: Any = None) -> Any:
        answer = self.up.call(ROUTES + path, body, key=self.values["KEY"])
        assert answer.status < 300, answer.body
        return answer.json()

    def subscribe(self, path: str) -> None:
        url = f"http://127.0.0.1:{self.port}{path}"
        created = self.call("/subscriptions", {"url": url, "event_types": ["order.*"]})
        self.values |= {"SUBSCRIPTION": created["id"], "SECRET": created["secret"]}

    def deliveries(self) -> list[dict[str, Any]]:
        subscription = self.values["SUBSCRIPTION"]
        page = self.call(f"/deliveries?subscription={subscription}")
        found: list[dict[str, Any]] = page["results"]
        return found

    def wait_for_deliveries(self) -> None:
        """Take the second that a reader needs to go on: everything was tried."""
        # In this order: what moves on from the first list meanwhile is found in the second.
        eventually(
            lambda: all(map(_was_tried, self._rows("pending"))) and not self._rows("sending")
        )

    def _rows(self, status: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(f"/deliveries?status={status}")["results"]
        return rows

    def work_through(self, page: str) -> list[str]:
        """Run the page; return what each of its blocks printed."""
        ports = {8000: int(self.up.site.rpartition(":")[2]), 9999: self.port}
        printed: list[str] = []
        blocks = blocks_of(page)
        with closing(Shell(self.values, ports, self.log)) as shell:
            for block, following in zip_longest(blocks, blocks[1:]):
                if block.language != "sh" or not is_run(block):
                    continue
                printed.append(shell.run(block))
                self.wait_for_deliveries()
                if following is not None and following.language == "json":
                    answer = json.loads(printed[-1])
                    assert differences(json.loads(following.text), answer) == [], block.text
        return printed


@pytest.fixture
def reader(up: Up, tmp_path: Path) -> Reader:
    return Reader(up, tmp_path)


def test_every_page_with_commands_is_worked_through_here() -> None:
    tested = {
        "README.md",
        "docs/quickstart.md",
        "docs/how-to/recover.md",
        "docs/how-to/rotate-a-secret.md",
        "docs/how-to/replace-phrase-or-repsona.md",
    }
    assert set(pages_with_commands()) == tested
    everything = [block.text for page in PAGES for block in blocks_of(page, "sh")]
    for beginning in NOT_RUN:
        assert any(text.startswith(beginning) for text in everything), f"gone: {beginning}"


def test_the_readme_publishes(reader: Reader) -> None:
    (answer,) = reader.work_through("README.md")
    assert json.loads(answer)["deliveries"]


def test_the_quickstart_leads_to_a_verified_event(reader: Reader) -> None:
    *_, delivery = reader.work_through("docs/quickstart.md")

    assert json.loads(delivery)["attempts"][0]["response"] is not None
    assert 'verified: {"type":"Task.update"' in reader.log.read_text()


def test_recovering_brings_back_all_that_failed_was_cancelled_or_missed(reader: Reader) -> None:
    reader.subscribe("/mended")
    for number in range(12):  # nobody listens: ten fail, and the subscription is switched off
        reader.call("/events", {"type": "order.paid", "data": number})
    eventually(lambda: all(row["finished_at"] for row in reader.deliveries()), within_seconds=30)
    first = reader.deliveries()
    assert {row["status"] for row in first} <= {"failed", "cancelled"}
    reader.values["DELIVERY"] = first[0]["id"]

    with ThreadedServer({"mended": accept}, port=reader.port):
        reader.work_through("docs/how-to/recover.md")
        # Of what was published after it was switched off there was no delivery; and the test.
        eventually(
            lambda: [row["status"] for row in reader.deliveries()] == ["succeeded"] * (12 + 1),
            within_seconds=30,
        )


def test_rotating_replaces_the_secret_each_time(reader: Reader) -> None:
    reader.subscribe("/rotated")
    before = reader.values["SECRET"]

    answers = [
        json.loads(printed)
        for printed in reader.work_through("docs/how-to/rotate-a-secret.md")
        if printed.strip()
    ]

    rotated, expired, chosen, leaked = answers
    assert rotated["previous"]["hint"] == f"…{before[-4:]}"
    assert expired == rotated | {"previous": None}
    assert chosen["previous"] is leaked["previous"] is None
    assert len({before, rotated["secret"], chosen["secret"], leaked["secret"]}) == 4


def test_receivers_of_phrase_and_repsona_get_what_they_expect(reader: Reader) -> None:
    behaviours = {"phrase": accept, "repsona": accept}
    with ThreadedServer(behaviours, port=reader.port) as server:
        reader.work_through("docs/how-to/replace-phrase-or-repsona.md")
        eventually(lambda: len(server.requests) == 2, within_seconds=30)
        received = {request.path: request for request in server.requests}
    assert b'"model":"Task","modelId":2,"action":"update"' in received["/repsona"].body
    assert received["/phrase"].body.startswith(b'{"event":"translations:create","message":"Peter')


def test_the_readme_makes_every_secret_that_compose_asks_for(tmp_path: Path) -> None:
    (block,) = [block for block in blocks_of("README.md", "sh") if block.text.startswith("cat >")]
    subprocess.run(["bash", "-eu"], input=block.text, text=True, cwd=tmp_path, check=True)
    made = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())

    compose = (ROOT / "docker-compose.yml").read_text()
    assert set(made) == set(re.findall(r"\$\{(\w+):\?", compose))
    Fernet(made["DISPATCHER_ENCRYPTION_KEYS"])
    assert len(made["DISPATCHER_SECRET_KEY"]) >= 50
    assert made["POSTGRES_PASSWORD"].isalnum()


def test_the_readme_starts_the_processes_of_compose_as_compose_does() -> None:
    (block,) = [block for block in blocks_of("README.md", "sh") if "granian" in block.text]
    shown = [
        shlex.split(line, comments=True) for line in block.text.replace("\\\n", "").splitlines()
    ]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("web", "worker", "beat"):
        command = [word.replace("0.0.0.0", "127.0.0.1") for word in services[name]["command"]]
        assert command in shown, name


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page, "python")])
def test_python_on_a_page_can_be_parsed(page: str) -> None:
    for block in blocks_of(page, "python"):
        ast.parse(block.text)
