"""Dockerfile and docker-compose.yml keep their promises, as far as reading them can tell."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest
from django.conf import settings

from tests.compose_file import (
    EXAMPLE,
    ROOT,
    SECRETS,
    MissingVariableError,
    fill_in,
    read_file,
    read_services,
    seconds,
)

OURS = ("web", "worker", "beat", "migrate")
FOR_ONE_PROCESS = {"DISPATCHER_DEMO", "DISPATCHER_DATA_DIR", "DISPATCHER_STATIC_ROOT"}
"""What Compose has no use for, and what the image sets."""

DOCKERFILE = (ROOT / "Dockerfile").read_text()
VARIABLES = {
    "POSTGRES_PASSWORD": "password",
    "DISPATCHER_SECRET_KEY": "for tests only " * 4,
    "DISPATCHER_ENCRYPTION_KEYS": "key",
    "DISPATCHER_ALLOWED_HOSTS": "hooks.example",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(read_file()["services"])


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", joined, re.MULTILINE)


def documented() -> set[str]:
    return set(re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))


# ---- Compose ------------------------------------------------------------------------------------


def test_the_services_are_those_of_production(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, "postgres", "redis"}


@pytest.mark.parametrize("name", [*SECRETS, "DISPATCHER_ALLOWED_HOSTS"])
def test_what_has_no_sensible_default_must_be_set_and_is_named(name: str) -> None:
    variables = {key: value for key, value in VARIABLES.items() if key != name}
    with pytest.raises(MissingVariableError, match=f"Set {name}"):
        read_services(variables)


def test_a_variable_without_a_value_is_handed_on_where_it_is_set() -> None:
    worker = read_services(VARIABLES | {"DISPATCHER_LOG_LEVEL": "DEBUG"})["worker"]
    assert worker.environment["DISPATCHER_LOG_LEVEL"] == "DEBUG"
    assert "DISPATCHER_LEASE_SECONDS" not in worker.environment
    assert worker.environment["DISPATCHER_ALLOWED_HOSTS"] == "hooks.example,127.0.0.1"


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_has_a_default_or_a_value(services: dict[str, Any], name: str) -> None:
    assert name not in DOCKERFILE
    assert set(re.findall(rf"\$\{{{name}(..)", str(services))) == {":?"}
    for service in services.values():
        value = service.get("environment", {}).get(name)
        assert value is None or value.startswith(f"${{{name}:?")


def test_every_variable_is_documented(services: dict[str, Any]) -> None:
    named = set(re.findall(r"\$\{(\w+)", str(services)))
    for name in OURS:
        named |= set(services[name]["environment"])
    assert named <= documented()


def test_every_documented_variable_reaches_the_processes(services: dict[str, Any]) -> None:
    text = str(services["worker"]) + str(services["web"])
    missing = {name for name in documented() - FOR_ONE_PROCESS if name not in text}
    assert missing == set()


def test_each_service_but_the_one_shot_has_a_health_check(services: dict[str, Any]) -> None:
    checked = {name for name, service in services.items() if service.get("healthcheck")}
    assert checked == set(services) - {"migrate"}


def test_a_stop_leaves_time_for_what_is_in_flight(services: dict[str, Any]) -> None:
    needed = settings.DISPATCHER_REQUEST_DEADLINE_SECONDS + 5
    for name in ("web", "worker"):
        grace = seconds(services[name]["stop_grace_period"])
        assert grace >= needed, name
    (patience,) = re.findall(r"--workers-kill-timeout=(\d+)", str(services["web"]["command"]))
    assert needed <= int(patience) < seconds(services["web"]["stop_grace_period"])


def test_workers_can_be_many(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert not {"container_name", "hostname", "ports", "volumes"} & set(worker)
    assert "-n" not in worker["command"]  # Celery names a node by its host: here the container


def test_all_wait_until_the_database_is_up_to_date(services: dict[str, Any]) -> None:
    for name in ("web", "worker", "beat"):
        condition = services[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully", name
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_processes_have_no_rights_and_a_file_system_that_is_read_only(
    services: dict[str, Any],
) -> None:
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


def test_only_web_is_reachable_and_only_from_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(published) == ["web"]
    assert [fill_in(port, {}) for port in published["web"]] == ["127.0.0.1:8000:8000"]
    assert read_file()["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["inside"]


def test_foreign_images_are_pinned_to_a_major_version(services: dict[str, Any]) -> None:
    images = [services["postgres"]["image"], services["redis"]["image"]]
    images += [image.split()[0] for image in instructions("FROM")]
    for image in images:
        assert re.fullmatch(r"[a-z]+:\d+[\w.-]*", image), image


# ---- The image ----------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert instructions("USER") == ["10001:10001"]
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last_stage
    assert "--uid 10001 --gid 10001" in last_stage


def test_the_last_stage_builds_and_installs_nothing() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not re.search(r"\b(pip|apt-get|apk|gcc|make)\b", last_stage)
    assert all("--from=build" in line for line in re.findall(r"^COPY (.+)$", last_stage, re.M))


def test_both_stages_have_the_same_python() -> None:
    assert len({image.split()[0] for image in instructions("FROM")}) == 1


def test_packages_are_installed_by_their_hashes() -> None:
    (install,) = [line for line in instructions("RUN") if " install " in line and "pip" in line]
    assert "--require-hashes" in install
    assert "requirements/run.txt" in DOCKERFILE


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = [
        source
        for line in instructions("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    ]
    assert "manage.py" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source


@pytest.mark.parametrize("path", [".git", ".venv", "var", ".env", "tests", "docs", "node_modules"])
def test_the_image_is_built_without_history_data_and_secrets(path: str) -> None:
    assert is_ignored(path)


def is_ignored(path: str) -> bool:
    """Decide as Docker does for a top-level path or a named file: the last fitting line counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!").rstrip("/")
        if pattern and not line.startswith("#") and fnmatch(path.rstrip("/"), pattern):
            ignored = not line.startswith("!")
    return ignored
