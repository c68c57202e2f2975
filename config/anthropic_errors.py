"""Errors in the shape in which Anthropic's API and its clients have them; for what is under `MESSAGES`."""

from typing import Any

MESSAGES = "/v1/messages"
KIND_OF = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def is_anthropics(path: str) -> bool:
    """Whether a path is of Anthropic's API, not of OpenAI's, which is around it."""
    return path == MESSAGES or path.startswith(f"{MESSAGES}/")


def anthropic_error(status: int, message: str, request_id: str) -> dict[str, Any]:
    """Source of the types: docs.anthropic.com/en/api/errors."""
    kind = KIND_OF.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
