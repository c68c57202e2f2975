"""Structured logs: one JSON object per line on stderr, with the request id; nothing that looks like a secret gets through."""

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.types import EventDict

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being worked on; sent on to neighbours."""

SECRET_NAMES = re.compile(r"token|secret|password|authorization|api[-_]?key|grant", re.IGNORECASE)
SECRET_VALUES = re.compile(
    r"\b(?:sk|hf|gh[pousr]|xox[bp]|vx11)[-_][A-Za-z0-9_-]{12,}|Bearer\s+\S+|(?<=://)[^\s:/@]*:[^\s/@]+(?=@)",
    re.IGNORECASE,
)
"""Keys by their usual beginnings, bearer tokens, and the user and password of a URL."""


service: ContextVar[str] = ContextVar("service", default="vx11")
"""The service that is at work; one process may host several."""


def configure(level: str = "info") -> None:
    """Set logging up for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _context,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(logging.WARNING, getattr(logging, level.upper())), handlers=[_Forward()], force=True)


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace values under secret names, and strings that look like keys, by `[redacted]`."""
    return {SECRET_VALUES.sub("[redacted]", str(key)): _clean(str(key), value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value  # a count of tokens is no secret
    if SECRET_NAMES.search(key):
        return "[redacted]"
    if isinstance(value, dict):
        return {SECRET_VALUES.sub("[redacted]", str(name)): _clean(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, inner) for inner in value]
    return SECRET_VALUES.sub("[redacted]", value if isinstance(value, str) else repr(value))


def _context(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event["service"] = service.get()
    if current := request_id.get():
        event["request_id"] = current
    return event


class _Forward(logging.Handler):
    """Sends what libraries log through the standard module to our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
