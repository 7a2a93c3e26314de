"""`.env.example`, from which the page of settings is made, agrees with what the program reads."""

from __future__ import annotations

import ast

from tests.docs.settings_table import constant, documented, read_ranges, reader_calls

WITHOUT_A_LITERAL = {
    "DISPATCHER_DATA_DIR": "var/data",
    "DISPATCHER_STATIC_ROOT": "var/static",
    "DISPATCHER_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
    "DISPATCHER_HTTPS": "false",
}
"""Defaults that are more than a literal in the settings: paths, and a list for one process only."""


def test_documented_defaults_are_those_of_the_settings() -> None:
    shown = {variable.name: variable.default for variable in documented()}
    for name, call in reader_calls():
        expression = call.args[1] if len(call.args) > 1 else ast.Constant("")
        if name in WITHOUT_A_LITERAL:
            assert shown[name] == WITHOUT_A_LITERAL[name]
        elif not (name == "DISPATCHER_SECRET_KEY" and len(call.args) == 1):
            assert shown[name] == _written(constant(expression)), name


def test_every_reader_s_range_is_understood() -> None:
    validated = {
        name
        for name, call in reader_calls()
        if any(keyword.arg == "validate" for keyword in call.keywords)
    }
    assert validated == set(read_ranges())
    assert len(validated) > 5


def test_every_variable_has_its_meaning() -> None:
    assert [variable.name for variable in documented() if not variable.meaning] == []


def _written(default: object) -> str:
    """Write a default as the environment would have it."""
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, list) else str(default)
