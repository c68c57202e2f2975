"""How a command-line tool is asked for an answer: a table of data, and what an entry of the registry says for itself."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.contracts.spawner import LONGEST_ARG, LONGEST_INPUT, Text, VariableName

PROMPT, MODEL = "{prompt}", "{model}"
METADATA = "prompt"
"""Where an entry of the registry tells how its tool is asked."""
MODEL_NAME = re.compile(r"^[A-Za-z0-9][\w.:/@+-]{0,199}$")
TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""ECMA-48, 5.3 to 5.6: colours and the like, and the operating system commands that end in BEL or ST."""


class Unaskable(Exception):
    """A tool that cannot be asked, or not this. The text is for people."""


class Invocation(BaseModel):
    """What is run for a prompt, and where the answer stands in what it writes."""

    model_config = ConfigDict(frozen=True)

    args: list[Text] = Field([], max_length=128)
    """`{prompt}` stands for the prompt, which comes last where no argument says so and `stdin` is false; an argument that is just
    `{model}` for `model_args`, or for nothing where no model is chosen."""
    stdin: bool = False
    """Whether the prompt goes to standard input."""
    output: str = Field("text", pattern=r"^(text|json:[\w-]+(\.[\w-]+)*)$")
    """`text` for all of stdout, `json:<path>` for a member of the JSON in it, such as `json:result.text`."""
    model_args: list[Text] = Field([], max_length=8)
    """Arguments that choose one of the tool's own models, `{model}`, for `cli/<name>/<model>`."""
    needs_model: bool = False
    offline: bool = False
    """Whether it works without network, credentials and files of its own, and so without a profile of spawner's."""
    env: dict[VariableName, Annotated[str, Field(max_length=LONGEST_ARG)]] = Field({}, max_length=32)
    """Variables that are no secrets; those belong into spawner's profile."""
    memory_mb: int = Field(1024, ge=16, le=1_048_576)
    specialties: frozenset[str] = frozenset()
    documentation: str = ""

    def command(self, prompt: str, model: str | None) -> tuple[list[str], str | None]:
        """Arguments and standard input. Raises Unaskable for what cannot be asked of this tool."""
        if "\x00" in prompt:
            raise Unaskable("a prompt may not contain NUL")
        longest = LONGEST_INPUT if self.stdin else LONGEST_ARG - 1
        if len(prompt) > longest:
            raise Unaskable(f"the conversation has {len(prompt)} characters, and this tool takes {longest}")
        choosing = self._choosing(model)
        asking = self.args if self.stdin or any(PROMPT in one for one in self.args) else [*self.args, PROMPT]
        args = [part for one in asking for part in (choosing if one == MODEL else [one])]
        if self.stdin:
            return args, prompt
        said = f" {prompt}" if prompt.startswith("-") else prompt  # or it would be read as an option
        return [one.replace(PROMPT, said) for one in args], None

    def _choosing(self, model: str | None) -> list[str]:
        if model is None:
            if self.needs_model:
                raise Unaskable("one of its models has to be named: cli/<tool>/<model>")
            return []
        if not self.model_args or MODEL not in self.args:
            raise Unaskable("its model cannot be chosen from here")
        if not MODEL_NAME.match(model):
            raise Unaskable(f"{model[:80]!r} cannot be a model's name")
        return [one.replace(MODEL, model) for one in self.model_args]

    def answer_in(self, stdout: str) -> str:
        """The answer in what the tool wrote. Raises Unaskable when it is not where it should be."""
        if self.output == "text":
            return TERMINAL_CODES.sub("", stdout).strip()
        path = self.output.removeprefix("json:")
        try:
            found: Any = json.loads(stdout)
        except ValueError as exc:
            raise Unaskable("its output is not JSON") from exc
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, str):
            raise Unaskable(f"its output has no text at {path}")
        return found.strip()


@cache
def table() -> Mapping[str, Invocation]:
    """The tools whose way of being asked is documented, by name."""
    return {name: Invocation.model_validate(one) for name, one in _file()["tools"].items()}


def invocation_of(name: str, metadata: Mapping[str, Any]) -> Invocation:
    """How a tool of the registry is asked; its own word goes before the table. Raises Unaskable."""
    own = metadata.get(METADATA)
    if own is not None:
        try:
            return Invocation.model_validate(own)
        except ValidationError as exc:
            wrong = "; ".join(
                f"{'.'.join(map(str, error['loc'])) or METADATA}: {error['msg']}" for error in exc.errors()
            )
            raise Unaskable(f"metadata.{METADATA} of {name} does not tell how it is asked: {wrong}") from exc
    if (known := table().get(name)) is not None:
        return known
    why = _file()["not_offered"].get(name, "how it is asked is not known")
    raise Unaskable(f"{name} is not asked: {why}; metadata.{METADATA} of its entry in the registry can tell how")


@cache
def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("invocations.json").read_text(encoding="utf-8"))
    return found
