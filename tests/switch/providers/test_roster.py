"""Who may be chosen, out of settings, catalogue and keys."""

import pytest
from pydantic import ValidationError

from switch.calls import UNKNOWN
from switch.failures import Failure, FailureKind
from switch.providers import catalogue
from switch.providers.roster import Roster

NOWHERE = "http://127.0.0.1:1"


def names(found: Roster) -> list[str]:
    return [choice.name for choice in found.auto]


def test_the_order_is_the_settings_then_the_catalogues(roster_of):
    found = roster_of({"XAI_API_KEY": "k"}, providers={"mine": {"base_url": NOWHERE, "models": ["b", "a"]}})
    assert names(found)[:2] == ["mine/b", "mine/a"]
    assert names(found)[2:] == [f"xai/{model}" for model in catalogue.entries()["xai"].auto]
    assert all(choice.facts.tools for choice in found.auto[2:])


def test_the_owner_may_say_what_auto_chooses(roster_of):
    wanted = ["xai/grok-4.3", "nobody/x", "xai/not-in-the-catalogue"]
    found = roster_of({"XAI_API_KEY": "k", "GROQ_API_KEY": "k"}, switch_auto_models=wanted)
    assert names(found) == ["xai/grok-4.3", "xai/not-in-the-catalogue"]


def test_models_that_nobody_told_us_of_can_be_named(roster_of):
    found = roster_of({"DEEPSEEK_API_KEY": "k"})
    known, unknown = found.named("deepseek", "deepseek-v4-flash"), found.named("deepseek", "deepseek-v9")
    assert known is not None
    assert known.facts.price is not None
    assert unknown is not None
    assert unknown.facts is UNKNOWN
    assert found.named("openai", "gpt-5-mini") is None


def test_a_provider_of_the_catalogue_needs_only_a_key_in_the_settings(roster_of):
    found = roster_of(providers={"mistral": {"api_key": "k", "models": ["mistral-small-latest"]}})
    mistral = found.providers["mistral"]
    assert mistral.access.base_url == "https://api.mistral.ai/v1"
    assert names(found) == ["mistral/mistral-small-latest"]
    assert "mistral/mistral-large-latest" in [choice.name for choice in found.models]


def test_a_listed_provider_without_a_key_waits_for_one(roster_of):
    found = roster_of(providers={"mistral": {"models": ["mistral-small-latest"]}})
    assert not found.providers
    told = next(one for one in found.known() if one.name == "mistral")
    assert (told.is_usable, told.key_source) == (False, "missing")


@pytest.mark.parametrize(
    ("name", "facts", "api"),
    [
        ("mine", {"base_url": NOWHERE}, "openai"),
        ("mine", {"base_url": NOWHERE, "api": "anthropic"}, "anthropic"),
        ("anthropic", {"base_url": NOWHERE}, "anthropic"),
        ("anthropic", {"base_url": NOWHERE, "api": "openai"}, "openai"),
        ("google", {"api_key": "k"}, "gemini"),
    ],
)
def test_the_api_is_the_catalogues_unless_the_settings_know_better(roster_of, name, facts, api):
    assert next(one for one in roster_of(providers={name: facts}).known() if one.name == name).api == api


async def test_embeddings_are_asked_for_where_the_api_has_them(roster_of, upstream):
    where = {"base_url": upstream.base_url, "api_key": "k"}
    found = roster_of(providers={"mine": where, "other": where | {"api": "anthropic"}})
    answer = await found.providers["mine"].embed(b'{"input": "words", "model": "e"}')
    answer.release()
    assert (upstream.asked[0].path, upstream.asked[0].headers["authorization"]) == ("/v1/embeddings", "Bearer k")
    with pytest.raises(Failure) as refused:
        await found.providers["other"].embed(b"{}")
    assert refused.value.kind is FailureKind.NO_SUCH_MODEL
    assert len(upstream.asked) == 1


def test_names_of_local_servers_are_names(settings_of):
    with pytest.raises(ValidationError, match="name a server"):
        settings_of(switch_local_servers={"a/b": NOWHERE})
    with pytest.raises(ValidationError, match="must be at"):
        settings_of(switch_local_servers={"a": "127.0.0.1:8000"})
