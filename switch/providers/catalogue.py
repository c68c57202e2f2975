"""Providers that need nothing but a key, as providers.json has them, and what is known of their models.

The file is read for the providers' addresses once, and again for the models of those that have a key: only these are kept. Either takes
about 8 milliseconds.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic_core import from_json

from switch.calls import GENERAL, Facts, Price

FILE = Path(__file__).parent / "providers.json"
CODE = re.compile(r"(?<!de)(?<!en)coder|(?<![a-z])(?:code|codex|code-?llama|codegemma|codestral|devstral)(?![a-z])")
TRANSLATES = re.compile(r"translat|(?<![a-z])(?:mt|nllb|madlad|aya|tower)(?![a-z])")
REASONS = re.compile(r"reason|think|(?<![a-z0-9])(?:o[134]|r1|qwq)(?![a-z0-9])")
SEES = re.compile(r"vision|(?<![a-z])(?:vl|llava|moondream|pixtral|minicpm-v)(?![a-z])")

Api = Literal["openai", "anthropic", "gemini"]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider of the catalogue. Its key may be in any of `key_variables`; `auto` are those of its models that `auto` may choose."""

    name: str
    title: str
    api: Api
    base_url: str
    key_variables: tuple[str, ...]
    documentation_url: str
    auto: tuple[str, ...]
    models: int


@cache
def entries() -> Mapping[str, Entry]:
    """The providers of the catalogue, by name."""
    return {
        name: Entry(
            name=name,
            title=facts["title"],
            api=facts["api"],
            base_url=facts["base_url"],
            key_variables=tuple(facts["key_variables"]),
            documentation_url=facts["documentation_url"],
            auto=tuple(facts["auto"]),
            models=len(facts["models"]),
        )
        for name, facts in _read().items()
    }


def models_of(names: Collection[str]) -> dict[str, dict[str, Facts]]:
    """What is known of the models of these providers: by provider, then by model. Providers that are not in the catalogue are left out."""
    if not names:
        return {}
    shared: dict[Any, Any] = {}
    return {
        name: {model: _facts(model, known, shared) for model, known in provider["models"].items()}
        for name, provider in _read().items()
        if name in names
    }


def specialties(
    model: str, *, modalities: Collection[str] = (), reasons: bool = False
) -> tuple[frozenset[str], frozenset[str]]:
    """The types of task that a model is made for, and those next to them, in hermes_db's words: by its name, what it takes and whether
    it reasons."""
    name = model.lower()
    made_for = {GENERAL, "text_generation"}
    adjacent: set[str] = set()
    if CODE.search(name):
        made_for, adjacent = {"code"}, {GENERAL, "text_generation"}
    elif TRANSLATES.search(name):
        made_for, adjacent = {"translation"}, {GENERAL, "text_generation"}
    if reasons or REASONS.search(name):
        made_for.add("analysis")
    if "image" in modalities or SEES.search(name):
        made_for.add("vision")
    if "audio" in modalities:
        made_for.add("audio")
    return frozenset(made_for), frozenset(adjacent - made_for)


def _read() -> dict[str, Any]:
    providers: dict[str, Any] = from_json(FILE.read_bytes())["providers"]
    return providers


def _facts(model: str, known: dict[str, Any], shared: dict[Any, Any]) -> Facts:
    """`shared` keeps one of each set and price: there are few different ones."""
    taken = known.get("modalities")
    price = known.get("price")
    made_for, adjacent = specialties(model, modalities=taken or (), reasons=known.get("reasoning") or False)
    return Facts(
        context_tokens=known.get("context_tokens"),
        output_tokens=known.get("output_tokens"),
        modalities=None if taken is None else _one(shared, frozenset(taken)),
        tools=known.get("tools"),
        schema=known.get("schema"),
        specialties=_one(shared, made_for),
        adjacent=_one(shared, adjacent),
        price=None
        if price is None
        else _one(shared, Price(price["input"], price["output"], price.get("cached_input"))),
    )


def _one(shared: dict[Any, Any], value: Value) -> Value:
    found: Value = shared.setdefault(value, value)
    return found
