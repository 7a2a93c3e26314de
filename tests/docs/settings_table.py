"""Makes the table of settings: meaning and default from `.env.example`, range from the readers.

Called by `generated`. Reads source text, so that no setting of this machine gets into the page.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_GROUP = re.compile(r"# -+ (.+?) -+")
_VARIABLE = re.compile(r"# ([A-Z_]+)=(.*)")
_NO_DEFAULT = frozenset({"DATABASE_URL", "REDIS_URL"})
"""`.env.example` shows what their values look like; unset is the default."""


@dataclass(frozen=True)
class Variable:
    """One variable as `.env.example` documents it."""

    name: str
    group: str
    meaning: str
    default: str


def settings_table() -> str:
    """Return one table for each group of `.env.example`."""
    ranges = read_ranges()
    lines: list[str] = []
    for group in dict.fromkeys(variable.group for variable in documented()):
        lines += [
            f"## {group}",
            "",
            "| variable | meaning | default | range |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| `{variable.name}` | {variable.meaning} | {_code(variable.default)} "
            f"| {ranges.get(variable.name, '')} |"
            for variable in documented()
            if variable.group == group
        ]
        lines.append("")
    return "\n".join(lines)


def documented() -> list[Variable]:
    """Read `.env.example`: comment lines, then the variables that they are about."""
    found: list[Variable] = []
    group, comment = "", list[str]()
    for line in (ROOT / ".env.example").read_text().splitlines():
        if heading := _GROUP.fullmatch(line):
            group, comment = heading[1].partition(":")[0], []
        elif variable := _VARIABLE.fullmatch(line):
            default = "" if variable[1] in _NO_DEFAULT else variable[2]
            found.append(Variable(variable[1], group, _cell(comment), default))
        elif line.startswith("# "):
            comment = [*comment, line[2:]] if comment else [line[2:]]
        else:
            comment = []
    return found


def _cell(comment: list[str]) -> str:
    text = " ".join(comment).replace("|", "\\|")
    return re.sub(r"\b(DISPATCHER_[A-Z_]+|DATABASE_URL|REDIS_URL)\b", r"`\1`", text)


def _code(default: str) -> str:
    return f"`{default}`" if default else "unset"


def read_ranges() -> dict[str, str]:
    """Return what each reader in the settings accepts, where it says so."""
    return {
        name: text
        for name, call in reader_calls()
        for keyword in call.keywords
        if keyword.arg == "validate" and (text := _range(keyword.value))
    }


def reader_calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call that reads a variable, with the variable's name."""
    for path in sorted((ROOT / "dispatcher").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.args[0].value
                if isinstance(name, str) and any(name == known.name for known in documented()):
                    yield name, node


def _range(validator: ast.expr) -> str:
    if not isinstance(validator, ast.Call) or not isinstance(validator.func, ast.Attribute):
        return ""
    bounds = {keyword.arg: constant(keyword.value) for keyword in validator.keywords}
    match validator.func.attr:
        case "Range":
            return f"{bounds['min']} to {bounds['max']}"
        case "OneOf":
            return " or ".join(f"`{choice}`" for choice in constant(validator.args[0]))
        case "Length":
            return f"at least {bounds['min']} characters"
    return ""


def constant(expression: ast.expr) -> Any:
    """Return the value of an expression of literals and arithmetic."""
    return eval(ast.unparse(expression), {"__builtins__": {}})  # noqa: S307  # our own source
