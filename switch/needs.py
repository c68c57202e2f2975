"""What a request asks of a model, read off its body before anybody is asked. Estimates: nobody has the model's tokenizer yet."""

from typing import Any

from switch.calls import Needs

BYTES_PER_TOKEN = 4
"""Of UTF-8. OpenAI's rule of thumb is four characters of English for a token; bytes keep the rule fair to scripts whose characters take
two to four bytes and a token of their own more often."""
TOKENS_PER_MESSAGE = (
    4  # OpenAI's cookbook, "How to count tokens with tiktoken": three, and one for the name of the role
)
TOKENS_PER_ANSWER = 3  # the same: every answer begins with them
TOKENS_PER_IMAGE = 765
"""OpenAI's count for 1024 x 1024 pixels in high detail: 85, and 170 for each of four tiles."""
TOKENS_PER_SMALL_IMAGE = 85  # the same with `"detail": "low"`
CHARACTERS_PER_AUDIO_TOKEN = 2000
"""Of base64. A second of 16-bit mono at 24 kHz is 64,000 characters, and 32 tokens for Gemini (10 for OpenAI)."""
CHARACTERS_PER_PDF_TOKEN = 50  # of base64: a page of 75 kB and 2,000 tokens; Anthropic says 1,500 to 3,000 for a page
LEAST_PDF = 1500
TOKENS_PER_VIDEO = 10_000  # Gemini: 258 for each second; what comes in a request is rarely longer than this

ASKS_FOR_MORE = frozenset({"tools", "functions", "response_format", "max_completion_tokens", "max_tokens"})
"""Members of a body that are looked at besides its messages; most requests have none of them."""
NONE: frozenset[str] = frozenset()
KIND_OF = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "file": "pdf",
    "input_file": "pdf",
    "video_url": "video",
    "input_video": "video",
}
"""What a part of a message brings, by the part's type in OpenAI's API and its relatives."""


def of(body: dict[str, Any], *, max_latency_ms: float | None = None, max_cost_usd: float | None = None) -> Needs:
    """What the chat completion `body` needs. Odd types count for nothing here: the model says what is wrong with them."""
    size_bytes, tokens, kinds = 0, TOKENS_PER_ANSWER, NONE
    messages = body.get("messages")
    if isinstance(messages, list):
        tokens += TOKENS_PER_MESSAGE * len(messages)
        for message in messages:
            if not isinstance(message, dict):
                continue
            content = message.get("content")
            if isinstance(content, str):
                size_bytes += _bytes(content)
            elif isinstance(content, list):
                for part in content:
                    part_bytes, part_tokens, kind = _part(part)
                    size_bytes, tokens = size_bytes + part_bytes, tokens + part_tokens
                    if kind:
                        kinds |= {kind}
            if len(message) > 2:  # calls of tools, thoughts, names
                for name, value in message.items():
                    if name not in ("content", "role"):
                        size_bytes += _written(value)
    if ASKS_FOR_MORE.isdisjoint(body):
        return Needs(
            tokens + -(-size_bytes // BYTES_PER_TOKEN),
            modalities=kinds,
            max_latency_ms=max_latency_ms,
            max_cost_usd=max_cost_usd,
        )
    tools = body.get("tools") or body.get("functions")
    has_tools = isinstance(tools, list) and bool(tools)
    if has_tools:
        size_bytes += _written(tools)
    shape = body.get("response_format")
    has_schema = isinstance(shape, dict) and shape.get("type") == "json_schema"
    if has_schema:
        size_bytes += _written(shape)
    return Needs(
        input_tokens=tokens + -(-size_bytes // BYTES_PER_TOKEN),
        output_tokens=_most(_count(body.get("max_completion_tokens")), _count(body.get("max_tokens"))),
        modalities=kinds,
        tools=has_tools,
        schema=has_schema,
        max_latency_ms=max_latency_ms,
        max_cost_usd=max_cost_usd,
    )


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _written(value: object) -> int:
    """About the length of the value as JSON."""
    if isinstance(value, str):
        return _bytes(value)
    return 0 if value is None else len(repr(value))


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _most(new: int | None, old: int | None) -> int | None:
    """Where both names of the limit are used, the greater one: not every provider knows the new name."""
    return max(new, old) if new and old else new or old


def _part(part: object) -> tuple[int, int, str | None]:
    """Bytes of text, tokens, and what the part brings beyond text."""
    if isinstance(part, str):
        return _bytes(part), 0, None
    if not isinstance(part, dict):
        return 0, 0, None
    text = part.get("text")
    if isinstance(text, str):
        return _bytes(text), 0, None
    name = part.get("type")
    kind = KIND_OF.get(name) if isinstance(name, str) else None
    if kind is None:
        return 0, 0, None
    inside = part.get(name)  # what the part holds goes by the name of its type
    if kind == "image":
        is_small = isinstance(inside, dict) and inside.get("detail") == "low"
        return 0, TOKENS_PER_SMALL_IMAGE if is_small else TOKENS_PER_IMAGE, kind
    if kind == "video":
        return 0, TOKENS_PER_VIDEO, kind
    data = inside.get("data") or inside.get("file_data") if isinstance(inside, dict) else None
    length = len(data) if isinstance(data, str) else 0
    if kind == "audio":
        return 0, length // CHARACTERS_PER_AUDIO_TOKEN + 1, kind
    return 0, max(LEAST_PDF, length // CHARACTERS_PER_PDF_TOKEN), kind
