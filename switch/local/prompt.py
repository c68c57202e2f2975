"""What the local light model is told before every question."""

from typing import Any

SYSTEM_PROMPT = (
    "You are VX11, an assistant for audio and software. Answer briefly and correctly in the language of the question."
)
"""Always the same bytes and always first, so that llama.cpp keeps what it has computed for it. Short, because a model that was woken
computes it before its first word."""

_FIRST = {"role": "system", "content": SYSTEM_PROMPT}


def with_system_prompt(messages: list[Any]) -> list[Any]:
    """The messages, led by our system prompt unless they bring instructions of their own."""
    brings_its_own = any(isinstance(one, dict) and one.get("role") in ("system", "developer") for one in messages)
    return messages if brings_its_own else [_FIRST, *messages]
