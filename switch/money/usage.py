"""How much of a model a call used, out of what its provider says, or out of what went by where it says nothing.

Providers with an OpenAI-compatible API agree on `prompt_tokens` and `completion_tokens`, and on little beyond. What is read here besides:
`prompt_tokens_details` (cached, written to the cache, audio), DeepSeek's `prompt_cache_hit_tokens`, `cached_tokens` of Moonshot and
Together, `cache_read_input_tokens` and `cache_creation_input_tokens` of Anthropic, Groq's `x_groq.usage` and Moonshot's
`choices[0].usage` in streams, tokens of thought that are in `total_tokens` alone (xAI, Gemini), searches, and what it cost where the
provider says so: OpenRouter's `cost`, Perplexity's `cost.total_cost`, xAI's `cost_in_usd_ticks`.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from switch.calls import Needs

MOST_TOKENS: Final = 20_000_000
"""More than any call can use: the longest contexts are of ten million. What says more is garbage."""
MOST_NANOUSD: Final = 10_000 * 10**9
"""More than any call can cost."""
TICKS_PER_NANOUSD: Final = 10
"""xAI: 10^10 ticks are a dollar (docs.x.ai/developers/cost-tracking)."""
CHARACTERS_PER_TOKEN: Final = 4
"""Of English text in common tokenizers; other languages have fewer, but then every event of a stream holds hardly more than one token."""
TOKENS_PER_SECOND: Final = 50
"""What a model writes while nothing is heard of it, so that asking and leaving is not a way around a budget. Ours: large models of cloud
providers write 40 to 100."""
MOST_SEARCHES: Final = 10_000
LONGEST_TIER: Final = 32
SUMS: Final = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_USAGE: Final = b'"usage"'


class Usage(NamedTuple):
    """Tokens of one call. The parts of the input and of the output are counted in their sums as well."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    """Read from the provider's cache."""
    cache_write_tokens: int = 0
    """Written to it, those for an hour as well."""
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    output_audio_tokens: int = 0
    reasoning_tokens: int = 0
    web_searches: int = 0
    service_tier: str = ""
    """As the answer names it; some tiers have prices of their own."""
    stated_nanousd: int | None = None
    """What it cost, where the provider says so."""


def of_answer(content: Mapping[str, Any]) -> Usage | None:
    """What an answer in OpenAI's shape, or an event of its stream, says; None where it says nothing that can be believed."""
    said = _said(content)
    if said is None:
        return None
    read, written = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens") or 0)
    is_short = (
        said.keys() <= SUMS
    )  # most servers say no more, and looking for it takes three times as long as all else here
    stated = None if is_short else _stated(said)
    if (
        read is None or written is None or not (read or stated)
    ):  # nobody answers to nothing: some say 0 who did not count
        return None
    if (all_tokens := _count(said.get("total_tokens"))) is not None and all_tokens - read > written:
        written = all_tokens - read  # thoughts that `completion_tokens` leaves out
    tier = content.get("service_tier") or said.get("service_tier") or ""
    tier = tier if isinstance(tier, str) and len(tier) <= LONGEST_TIER else ""
    if is_short:
        return Usage(read, written, service_tier=tier)
    details, made = _mapping(said.get("prompt_tokens_details")), _mapping(said.get("completion_tokens_details"))
    cached = _part(
        details.get("cached_tokens")
        or said.get("prompt_cache_hit_tokens")
        or said.get("cached_tokens")
        or said.get("cache_read_input_tokens"),
        read,
    )
    kept = _part(
        details.get("cache_write_tokens")
        or details.get("cache_creation_tokens")
        or said.get("cache_creation_input_tokens"),
        read - cached,
    )
    heard = _part(details.get("audio_tokens"), read)
    searches = said.get("num_search_queries") or _mapping(said.get("server_tool_use")).get("web_search_requests")
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=cached,
        cache_write_tokens=kept,
        cache_write_1h_tokens=_part(_mapping(said.get("cache_creation")).get("ephemeral_1h_input_tokens"), kept),
        input_audio_tokens=heard,
        cached_audio_tokens=_part(
            _mapping(details.get("cached_tokens_details")).get("audio_tokens"), min(heard, cached)
        ),
        output_audio_tokens=_part(made.get("audio_tokens"), written),
        reasoning_tokens=_part(made.get("reasoning_tokens") or said.get("reasoning_tokens"), written),
        web_searches=_part(searches, MOST_SEARCHES),
        service_tier=tier,
        stated_nanousd=stated,
    )


def of_whole(content: Mapping[str, Any], needs: Needs) -> tuple[Usage, bool]:
    """What a whole answer says that it used, and whether that is an estimate, by the length of its messages: it said nothing."""
    said = of_answer(content)
    if said is not None and (said.output_tokens or said.stated_nanousd):
        return said, False
    choices = content.get("choices")
    messages = [one.get("message") for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    written = [message for message in messages if _says_something(message)]
    if said is not None:
        return said._replace(output_tokens=_tokens(written)), bool(written)
    return Usage(input_tokens=needs.input_tokens, output_tokens=_tokens(written)), True


def unheard(needs: Needs, most_output: int | None, seconds: float) -> Usage:
    """An estimate for a model that was asked and then not listened to for so long: it may have written as much as it may, or can."""
    most = [one for one in (needs.output_tokens, most_output) if one is not None]
    return Usage(input_tokens=needs.input_tokens, output_tokens=min([int(seconds * TOKENS_PER_SECOND), *most]))


class StreamUsage:
    """`take` every piece of a stream that is passed on (whole events), then ask for the `usage`. A few searches in bytes, nothing is parsed
    before the end."""

    __slots__ = ("_bytes", "_deltas", "_last", "_least_event_bytes")

    def __init__(self) -> None:
        self._last = b""
        self._deltas = self._bytes = 0
        self._least_event_bytes = MOST_TOKENS

    def take(self, data: bytes) -> None:
        at = data.rfind(_USAGE)
        while at >= 0:
            if not data[at + len(_USAGE) : at + 16].lstrip(b" :").startswith(b"null"):
                self._last = data[data.rfind(b"\n", 0, at) + 1 : _end_of_line(data, at)]
                break
            at = data.rfind(_USAGE, 0, at)
        deltas = data.count(b'"delta"')
        if deltas:
            self._deltas += deltas
            self._bytes += len(data)
            self._least_event_bytes = min(self._least_event_bytes, len(data) // deltas)

    def usage(self, needs: Needs) -> tuple[Usage, bool]:
        """What was used, and whether that is an estimate: the provider said nothing, or the stream ended before it did."""
        if self._last:
            try:
                event = from_json(self._last.removeprefix(b"data:"))
            except ValueError:
                event = None
            said = of_answer(event) if isinstance(event, dict) else None
            if said is not None and (said.output_tokens or said.stated_nanousd or not self._deltas):
                return said, False
        else:
            said = None
        # An event holds a token or more: the shortest one is what goes around the text, what others have beyond it is text.
        text_bytes = self._bytes - self._deltas * self._least_event_bytes
        written = max(self._deltas, text_bytes // CHARACTERS_PER_TOKEN)
        read = needs.input_tokens if said is None else said.input_tokens
        return Usage(input_tokens=read, output_tokens=written), True


def _says_something(message: object) -> bool:
    return isinstance(message, dict) and any(value for name, value in message.items() if name != "role")


def _tokens(messages: list[Any]) -> int:
    return len(to_json(messages)) // CHARACTERS_PER_TOKEN if messages else 0


def _end_of_line(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


def _said(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage in an answer, wherever its provider puts it."""
    if isinstance(found := content.get("usage"), dict):
        return found
    if isinstance(found := _mapping(content.get("x_groq")).get("usage"), dict):
        return found
    match content.get("choices"):
        case [{"usage": dict(found)}, *_]:
            return found
    return None


def _stated(said: Mapping[str, Any]) -> int | None:
    """What the provider says that it cost, in nano-dollars."""
    ticks = said.get("cost_in_usd_ticks")
    if isinstance(ticks, int) and not isinstance(ticks, bool) and 0 <= ticks <= MOST_NANOUSD * TICKS_PER_NANOUSD:
        return -(-ticks // TICKS_PER_NANOUSD)
    cost = said.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    stated = _nanousd(cost)
    if (
        stated is not None and said.get("is_byok") is True
    ):  # OpenRouter with a key of one's own: its fee, and the provider's bill
        return stated + (_nanousd(_mapping(said.get("cost_details")).get("upstream_inference_cost")) or 0)
    return stated


def _nanousd(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_NANOUSD // 10**9:
        return None
    return int((Decimal(repr(value)) * 10**9).to_integral_value(ROUND_HALF_UP))


def _count(value: object) -> int | None:
    """A number of tokens; None for what cannot be one."""
    if type(value) is int:
        return value if 0 <= value <= MOST_TOKENS else None
    if isinstance(value, float) and value.is_integer():
        return _count(int(value))
    return None


def _part(value: object, most: int) -> int:
    """A number of tokens that are part of others; 0 for what cannot be one."""
    return min(_count(value) or 0, most) if value else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
