"""What a request on `/v1` may say to switch itself, in its member `vx11`; the model never sees it."""

import re
from dataclasses import dataclass, fields
from typing import Any, get_args

from config.contracts.switch import LONGEST_LATENCY_MS, Priority
from config.errors import InvalidRequest

LONGEST_CACHE_SECONDS = 7 * 86_400
TASK_TYPE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
SESSION = re.compile(r"^[\w.:@-]{1,128}$")
PRIORITIES: tuple[str, ...] = get_args(Priority)


@dataclass(frozen=True, slots=True)
class Extras:
    """`cache_seconds` above 0: an answer to exactly this request that is not older may be given again, and this one is kept."""

    priority: Priority = "USER_INTERACTIVE"
    task_type: str | None = None
    session_id: str | None = None
    max_latency_ms: float | None = None
    max_cost_usd: float | None = None
    cache_seconds: float = 0.0


NOTHING = Extras()
NAMES = frozenset(field.name for field in fields(Extras))


def taken_from(body: dict[str, Any]) -> Extras:
    """The member `vx11` of the body, which is taken out of it. Raises InvalidRequest that names what is wrong."""
    found = body.pop("vx11", None)
    if found is None:
        return NOTHING
    if not isinstance(found, dict):
        raise InvalidRequest("vx11 must be an object", param="vx11")
    for name in found:
        if name not in NAMES:  # a limit that is misspelt would be none
            known = ", ".join(sorted(NAMES))
            raise InvalidRequest(f"vx11 knows {known}, not {str(name)[:64]!r}", param="vx11")
    priority = found.get("priority", "USER_INTERACTIVE")
    if priority not in PRIORITIES:
        raise InvalidRequest(f"vx11.priority must be one of {', '.join(PRIORITIES)}", param="vx11.priority")
    return Extras(
        priority=priority,
        task_type=_text(found, "task_type", TASK_TYPE),
        session_id=_text(found, "session_id", SESSION),
        max_latency_ms=_number(found, "max_latency_ms", least=1, most=LONGEST_LATENCY_MS),
        max_cost_usd=_number(found, "max_cost_usd", least=0, most=1_000_000),
        cache_seconds=_number(found, "cache_seconds", least=0, most=LONGEST_CACHE_SECONDS) or 0.0,
    )


def _number(found: dict[str, Any], name: str, *, least: float, most: float) -> float | None:
    value = found.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidRequest(f"vx11.{name} must be a number from {least:g} to {most:g}", param=f"vx11.{name}")
    return float(value)


def _text(found: dict[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not form.fullmatch(value):
        raise InvalidRequest(f"vx11.{name} must look like {form.pattern}", param=f"vx11.{name}")
    return value
