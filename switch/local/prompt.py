"""What the local light model is told before every question."""

from typing import Any

SYSTEM_PROMPT = (
    "You are VX11, a helpful assistant for people who work with audio and software. "
    "Answer in the language of the question. Be correct and brief: one to four plain sentences, or code if it is asked for."
)
"""Always the same bytes and always first, so that llama.cpp keeps what it has computed for it."""

_FIRST = {"role": "system", "content": SYSTEM_PROMPT}


def with_system_prompt(messages: list[Any]) -> list[Any]:
    """The messages, led by our system prompt unless they bring instructions of their own."""
    brings_its_own = any(isinstance(one, dict) and one.get("role") in ("system", "developer") for one in messages)
    return messages if brings_its_own else [_FIRST, *messages]
