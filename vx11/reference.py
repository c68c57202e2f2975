"""Writes `docs/configuration.md` out of the settings classes: `python -m vx11.reference`. A test holds the page to the code."""

import ast
import importlib
import inspect
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined, to_jsonable_python

from config.settings import SERVICES, FleetSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
HEAD = """# Configuration
Every setting is an environment variable with the prefix `VX11_`, or a line of `.env` in the folder the fleet is started from; the
environment wins. Durations are ISO 8601 (`PT30S`, `P1D`) or seconds, sizes are bytes, lists and maps are JSON. All have defaults
that work: nothing must be set. What was changed counts after `make down` and `make up`: `vx11 restart` starts a service with what the
fleet was started with.

This page is generated: `python -m vx11.reference`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, section("Every service", FleetSettings, inherited=frozenset())]
    shared = frozenset(FleetSettings.model_fields)
    for service in SERVICES:
        module = importlib.import_module(f"{service}.settings")
        own = next(
            found
            for _, found in inspect.getmembers(module, inspect.isclass)
            if issubclass(found, FleetSettings) and found.__module__ == module.__name__
        )
        if set(own.model_fields) - shared:
            parts.append(section(service, own, inherited=shared))
    return "\n".join(parts)


def section(title: str, settings: type[FleetSettings], *, inherited: frozenset[str]) -> str:
    """One class's own settings as a table."""
    texts = docstrings(settings)
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in settings.model_fields.items():
        if name not in inherited:
            meaning = " ".join(texts.get(name, field.description or "").split()).replace("|", "\\|")
            rows.append(
                f"| `VX11_{name.upper()}` | {shown(field.get_default(call_default_factory=True))} | {meaning} |"
            )
    return f"## {title}\n" + "\n".join(rows) + "\n"


def docstrings(settings: type) -> dict[str, str]:
    """The string under each attribute of a class."""
    body = ast.parse(inspect.getsource(settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and is_text:
            found[one.target.id] = str(after.value.value)  # type: ignore[attr-defined]  # is_text has looked
    return found


def shown(default: Any) -> str:
    """A default as a person would write it."""
    if default is None or default is PydanticUndefined:
        return "–"
    if isinstance(default, SecretStr):
        return "(secret)"
    if isinstance(default, Path):
        return f"`{default}`"
    if isinstance(default, timedelta):
        return f"`{to_jsonable_python(default)}`"
    return (
        f"`{default if isinstance(default, str) else json.dumps(to_jsonable_python(default))}`"
        if default != ""
        else "–"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} written\n")
