"""What the registry should be told of the tools that are here: values in, changes out.

Hermes notes in an entry's metadata what it wrote there. A field is hermes's to change while it is empty or still as hermes wrote it;
what a person set stays, also that a tool is not to be used. Hermes never touches install commands, documentation and limits, and puts
away only what it found itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.contracts.hermes_db import Cli, CliChange, CliFacts
from hermes.clis.catalogue import Tool

NOTE = "hermes"


@dataclass(frozen=True, slots=True)
class Here:
    """A tool of this box."""

    tool: Tool
    path: str
    version: str | None
    """None where it could not be found out."""


@dataclass(frozen=True, slots=True)
class Changes:
    """New entries and changes of others, by name."""

    new: dict[str, CliFacts]
    changed: dict[str, CliChange]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed)


def changes(here: Sequence[Here], known: Sequence[Cli], tools: Sequence[Tool]) -> Changes:
    """What to write, given the tools that are here, all entries of the registry, and the catalogue."""
    by_name = {one.name: one for one in known}
    found = {one.tool.name: one for one in here}
    new = {name: _new(one) for name, one in found.items() if name not in by_name}
    changed: dict[str, CliChange] = {}
    for name in (tool.name for tool in tools if tool.name in by_name):
        entry = by_name[name]
        wanted = _facts(found[name]) if name in found else {"is_active": False}
        if (change := _change(entry, wanted)) is not None:
            changed[name] = change
    return Changes(new, changed)


def _facts(one: Here) -> dict[str, Any]:
    return {
        "kind": one.tool.kind,
        "description": one.tool.description,
        "path": one.path,
        "version": one.version,
        "answers_prompts": one.tool.answers_prompts,
        "is_active": True,
    }


def _new(one: Here) -> CliFacts:
    facts = _facts(one)
    return CliFacts.model_validate(facts | {"metadata": {NOTE: facts}})


def _change(entry: Cli, wanted: Mapping[str, Any]) -> CliChange | None:
    note = entry.metadata.get(NOTE)
    ours: dict[str, Any] = note if isinstance(note, dict) else {}
    values = {
        field: value
        for field, value in wanted.items()
        if getattr(entry, field) != value and _is_ours(getattr(entry, field), field, ours)
    }
    if not values:
        return None
    return CliChange.model_validate(values | {"metadata": entry.metadata | {NOTE: ours | values}})


def _is_ours(value: Any, field: str, ours: Mapping[str, Any]) -> bool:
    return value is None or value == "" or (field in ours and ours[field] == value)
