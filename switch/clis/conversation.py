"""A chat completion's messages as one plain prompt, for tools that take no other."""

from collections.abc import Mapping
from typing import Any

from switch.clis.invocation import Unaskable

NAMES = {"user": "User", "assistant": "Assistant", "system": "Instructions", "developer": "Instructions"}
NOT_TAKEN = ("tools", "functions", "response_format", "audio")
"""Members of a request that ask for what a tool cannot be held to."""


def prompt_of(body: Mapping[str, Any]) -> str:
    """One message of a user as it stands; otherwise instructions first, then the turns with their speakers. Raises Unaskable."""
    for name in NOT_TAKEN:
        if body.get(name) and body[name] != {"type": "text"}:
            raise Unaskable(f"a command-line tool takes text alone, not `{name}`")
    if (body.get("n") or 1) != 1:
        raise Unaskable("a command-line tool gives one answer, not `n` of them")
    said = [_said(message) for message in body["messages"]]
    instructions = [text for name, text in said if name == "Instructions"]
    turns = [(name, text) for name, text in said if name != "Instructions"]
    if not turns:
        raise Unaskable("there is no message of a user's")
    if len(turns) == 1:
        return "\n\n".join([*instructions, turns[0][1]])
    return "\n\n".join([*instructions, *(f"{name}: {text}" for name, text in turns), "Assistant:"])


def _said(message: Mapping[str, Any]) -> tuple[str, str]:
    role = message.get("role")
    if role not in NAMES or message.get("tool_calls"):
        raise Unaskable(f"a command-line tool takes no message with tool calls, nor one of the role {str(role)[:40]!r}")
    match message.get("content"):
        case str(text):
            return NAMES[role], text
        case list(parts):
            return NAMES[role], "\n".join(_text(part) for part in parts)
    raise Unaskable("a message needs text")


def _text(part: Any) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
    raise Unaskable("a command-line tool takes text alone, no images, audio or files")
