"""Whether a refusal is one of the request, which nobody would take, or of one model, whose place another can take. No I/O."""

import re
from typing import Any

from pydantic_core import from_json

TOO_LARGE = 413
MAY_BE_OF_THE_MODEL = frozenset({400, TOO_LARGE, 422})
CODES = frozenset(
    {
        *("context_length_exceeded", "context_window_exceeded", "exceed_context_size_error", "request_too_large"),
        *("unsupported_parameter", "unsupported_value", "unknown_parameter", "unsupported_parameter_value"),
        *("model_not_found", "model_not_supported", "model_decommissioned", "model_not_active", "invalid_model"),
    }
)
"""`code` or `type` of an error of OpenAI's, Anthropic's, Groq's, Mistral's and Copilot's API, of llama.cpp and of LiteLLM."""
WORDS = re.compile(
    r"context (length|window|size|limit)"  # OpenAI, vLLM, llama.cpp, Mistral
    r"|(prompt|input|request) (is )?too (long|large)"  # Anthropic
    r"|token count .{0,40}exceeds"  # Gemini
    r"|too many (input |prompt )?tokens"
    r"|not support|unsupported|n't support"
    r"|unrecogni[sz]ed request argument|unknown (parameter|name)"  # OpenAI, Gemini
    r"|extra (inputs|fields) (are )?not permitted"  # pydantic, which Mistral, Anthropic and vLLM are made with
    r"|\bmodel\b.{0,80}(not exist|not found|not available|no longer available|decommissioned|deprecated)",
    re.IGNORECASE,
)
"""What is said by those who give no code for it."""
LONGEST_LOOKED_AT = 2000  # characters: what follows may be the request itself, told again


def is_of_the_model(status: int, said: bytes) -> bool:
    """Whether it is this model, or its API, that cannot take the request: it is too long for it, has a parameter or a kind of content that
    it does not know, or the model is not there. `said` is an error in OpenAI's shape."""
    if status not in MAY_BE_OF_THE_MODEL:
        return False
    error = _error(said)
    if status == TOO_LARGE or not CODES.isdisjoint(
        one for one in (error.get("code"), error.get("type")) if isinstance(one, str)
    ):
        return True
    message = error.get("message")
    return isinstance(message, str) and WORDS.search(message[:LONGEST_LOOKED_AT]) is not None


def words_of(said: bytes, *, most: int = 300) -> str:
    """What the error says, for people."""
    message = _error(said).get("message")
    return " ".join(message.split())[:most] if isinstance(message, str) else ""


def _error(said: bytes) -> dict[str, Any]:
    try:
        content = from_json(said)
    except ValueError:
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {}
