"""The tools that are worth knowing: `catalogue.json`, a file of data."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from config.contracts.common import Wire
from config.contracts.hermes_db import CliName, Kind, Text

ANY_VERSION = r"\d+(?:\.\d+)+"


class Packages(Wire):
    """The names under which a tool's own authors publish it, where those differ or could be mistaken."""

    python: str | None = None
    npm: str | None = None


class Tool(Wire):
    """A command-line tool: how to find it, and how to ask it for its version."""

    name: CliName
    kind: Kind
    description: Text
    binaries: Annotated[tuple[CliName, ...], Field(min_length=1)]
    """What its file may be called; the first that is here counts."""
    version: tuple[str, ...]
    """The arguments that make it say its version and end."""
    version_pattern: str = ANY_VERSION
    """What of its answer is the version: the first group, or all that matched."""
    answers_prompts: bool = False
    """Whether it answers a prompt without a person at a terminal."""
    packages: Packages = Packages()

    def version_in(self, text: str) -> str | None:
        """The first version that a text names."""
        found = re.search(self.version_pattern, text)
        return found.group(found.lastindex or 0)[:50] if found else None


@cache
def catalogue() -> tuple[Tool, ...]:
    """All tools, in the file's order."""
    entries = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))["tools"]
    return tuple(Tool.model_validate(entry) for entry in entries)
