"""The dialects by the name of the API, as the catalogue and the settings of providers have it."""

from typing import Literal
from urllib.parse import urlsplit

from switch.dialects.anthropic import Anthropic
from switch.dialects.dialect import Dialect, OpenAI
from switch.dialects.gemini import Gemini

OPENAIS_OWN = "api.openai.com"


def dialect_of(api: Literal["openai", "anthropic", "gemini"], base_url: str) -> Dialect | OpenAI:
    """How the API at `base_url` is spoken to."""
    match api:
        case "anthropic":
            return Anthropic()
        case "gemini":
            return Gemini()
        case "openai":
            return OpenAI(is_openais_own=urlsplit(base_url).hostname == OPENAIS_OWN)
