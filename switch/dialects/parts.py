"""Reading the parts of OpenAI's messages, for whoever has other words for them."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from switch.dialects.dialect import Unmappable


@dataclass(frozen=True, slots=True)
class Inline:
    """A file that came within a request."""

    media_type: str
    base64: str


def of_data_url(url: str) -> Inline | None:
    """What a `data:` URL holds (RFC 2397), None for an address. Raises Unmappable for what is neither."""
    if not url.startswith("data:"):
        if url.startswith(("https://", "http://")):
            return None
        raise Unmappable("a file is given by an https URL or a data: URL", "messages")
    head, comma, data = url[5:].partition(",")
    media_type, *marks = head.split(";")
    if not comma or "base64" not in marks:
        raise Unmappable("a data: URL must be in base64", "messages")
    return Inline(media_type or "application/octet-stream", data)


def text_of(part: Any) -> str | None:
    """The words of a part; None where it is not one of words."""
    match part:
        case str(text) | {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return text
    return None


def arguments_of(written: Any) -> dict[str, Any]:
    """The arguments of a tool call, which OpenAI has as JSON in a text. Raises Unmappable for what is no object."""
    try:
        found = from_json(written or "{}")
    except (ValueError, TypeError) as exc:
        raise Unmappable("the arguments of a tool call are not JSON", "messages") from exc
    if not isinstance(found, dict):
        raise Unmappable("the arguments of a tool call are not a JSON object", "messages")
    return found


def listed(holder: dict[str, Any], name: str) -> list[Any]:
    """A member that is a list, empty where it is not there. Raises Unmappable for anything else."""
    value = holder.get(name)
    if value is not None and not isinstance(value, list):
        raise Unmappable(f"{name} must be a list", name)
    return value or []


def number(body: dict[str, Any], name: str) -> int | float | None:
    """A member that is a number. Raises Unmappable for anything else."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Unmappable(f"{name} must be a number", name)
    return value


def is_set(value: Any) -> bool:
    """Whether a member of the request says anything: null and nothing are as good as not being there."""
    return value is not None and value not in ("", [], {}, False, 0)


def no_words_for(name: str) -> Unmappable:
    return Unmappable(f"this model's API has nothing like {name}: ask without it", name)
