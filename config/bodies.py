"""JSON bodies that can be kept and sent on.

Python's reader takes more than JSON: NaN, numbers too large for a float, half a surrogate pair, any depth. What it lets in would be stored,
and every later answer that holds it would fail. So a body is refused here, before a route sees it; so is NUL, which Postgres cannot keep.
"""

import json
import math
from typing import Any

from fastapi import Request

from config.errors import InvalidRequest

DEEPEST = 64
"""Levels of nesting in a body; what writes the answers gives up at about 250."""


async def require_readable(request: Request) -> None:
    """Dependency of every route. Raises InvalidRequest naming the first value of the JSON body that no answer could repeat."""
    body = getattr(
        request, "_json", None
    )  # what FastAPI has read already; bodies that it leaves to the route are not touched
    if body is None or _is_plain(body):
        return
    problem = _first_problem(body)
    if problem is not None:
        field, message = problem
        raise InvalidRequest(f"{field}: {message}", errors=[{"field": field, "message": message}])


def _is_plain(body: Any) -> bool:
    """Quick and never wrong when it says yes."""
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in text and (text.count("[") + text.count("{") <= DEEPEST or _depth(body) <= DEEPEST)


def _depth(body: Any) -> int:
    """Levels of lists and objects, counted until there are too many."""
    depth, level = 0, [body]
    while depth <= DEEPEST and (level := [one for one in level if isinstance(one, list | dict)]):
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _first_problem(body: Any) -> tuple[str, str] | None:
    """Field and message, looked for without recursion."""
    todo: list[tuple[str, int, Any]] = [("body", 0, body)]
    while todo:
        field, depth, value = todo.pop()
        if depth > DEEPEST:
            return "body", f"may be nested {DEEPEST} levels deep"
        if isinstance(value, str) and (message := _wrong_text(value)):
            return field, message
        if isinstance(value, float) and not math.isfinite(value):
            return field, "is not a finite number"
        if isinstance(value, list):
            todo += [(f"{field}.{number}", depth + 1, inner) for number, inner in enumerate(value)]
        if isinstance(value, dict):
            for name, inner in value.items():
                if message := _wrong_text(name):
                    return field, f"has a name that {message}"
                todo.append((f"{field}.{name}", depth + 1, inner))
    return None


def _wrong_text(text: str) -> str | None:
    if "\x00" in text:
        return "may not contain NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode: half of a surrogate pair"
    return None
