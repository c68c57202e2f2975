"""Folders of this machine that jobs may see, and what may be run in them by name."""

from pathlib import Path

from pydantic import Field

from config.contracts.common import Wire
from config.contracts.spawner import MOST_ARGS, NO_NUL, RelativePath, Text


class Recipe(Wire):
    """A command with a name: what "run the tests of project x" means in that project.

    The job starts in a folder of its own, and finds the project's at /project, or, as a copy, in `project` beneath its own.
    """

    command: str = Field(min_length=1, max_length=4096, pattern=NO_NUL)
    args: list[Text] = Field([], max_length=MOST_ARGS)
    timeout_seconds: float | None = Field(None, gt=0, le=86_400)
    max_memory_mb: int | None = Field(None, ge=16, le=1_048_576)
    project_copy: bool = False
    """Whether it runs on a copy of the folder that it may write in, instead of the folder itself, read-only."""
    artifacts: list[RelativePath] = []


class Project(Wire):
    """A folder, and its recipes by name (`tests`, `build`)."""

    path: Path
    recipes: dict[str, Recipe] = {}
