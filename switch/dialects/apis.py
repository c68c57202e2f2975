"""The dialects by the name of the API, as the catalogue and the settings of providers have it."""

from collections.abc import Mapping

from switch.dialects.anthropic import Anthropic
from switch.dialects.dialect import Dialect, OpenAI
from switch.dialects.gemini import Gemini

DIALECTS: Mapping[str, Dialect | OpenAI] = {"openai": OpenAI(), "anthropic": Anthropic(), "gemini": Gemini()}
