"""Providers are settings: easy to write, and hard to get the key out of."""

import json

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from config.settings import settings_problem
from switch.settings import SwitchSettings

KEY = "sk-very-secret-0123456789"


def read(monkeypatch, **providers) -> SwitchSettings:
    monkeypatch.setenv("VX11_PROVIDERS", json.dumps(providers))
    return SwitchSettings(_env_file=None)


def test_providers_come_from_the_environment_in_their_order(monkeypatch):
    settings = read(
        monkeypatch,
        zeta={"base_url": "https://api.example.com", "api_key": KEY, "models": ["a", "b"]},
        alpha={"base_url": "http://127.0.0.1:11434/v1/"},
    )
    assert list(settings.providers) == ["zeta", "alpha"]
    assert settings.providers["zeta"].base_url == "https://api.example.com/v1"
    assert settings.providers["alpha"].base_url == "http://127.0.0.1:11434/v1"
    assert settings.providers["alpha"].api_key is None


@pytest.mark.parametrize("shown", [repr, str, lambda settings: settings.model_dump_json()])
def test_the_key_shows_nowhere(monkeypatch, shown):
    assert KEY not in shown(read(monkeypatch, a={"base_url": "https://x.example/v1", "api_key": KEY}))


@pytest.mark.parametrize(
    ("name", "facts", "said"),
    [
        ("a", {"base_url": "api.example.com", "api_key": KEY}, "base_url"),
        ("a", {"base_url": "ftp://example.com", "api_key": KEY}, "base_url"),
        ("a", {"base_url": f"https://user:{KEY}@example.com", "api_key": KEY}, "base_url"),
        ("a", {"api_key": KEY}, "'a' needs a base_url"),
        ("a", {"base_url": "https://x.example", "api_key": KEY + "\n"}, "visible ASCII"),
        ("a", {"base_url": "https://x.example", "api_key": KEY, "models": "gpt"}, "MODELS"),
        ("auto", {"base_url": "https://x.example", "api_key": KEY}, "auto"),
        ("local", {"base_url": "https://x.example", "api_key": KEY}, "local"),
        ("a/b", {"base_url": "https://x.example", "api_key": KEY}, "a/b"),
        ("a\n", {"base_url": "https://x.example", "api_key": KEY}, "cannot name a provider"),
    ],
)
def test_a_provider_that_makes_no_sense_is_refused_without_showing_its_key(monkeypatch, name, facts, said):
    with pytest.raises(ValidationError) as refused:
        read(monkeypatch, **{name: facts})
    assert KEY not in str(refused.value)
    assert KEY not in settings_problem(refused.value)
    assert said in settings_problem(refused.value)


def test_threads_follow_the_cores_unless_set(monkeypatch):
    assert 1 <= SwitchSettings(_env_file=None).threads <= 4
    assert SwitchSettings(light_threads=7, _env_file=None).threads == 7


def test_a_setting_that_is_not_json_is_named_without_its_value(monkeypatch):
    monkeypatch.setenv("VX11_PROVIDERS", f'{{"a": "{KEY}", b}}')
    with pytest.raises(SettingsError) as told:
        SwitchSettings(_env_file=None)
    problem = settings_problem(told.value)
    assert "VX11_PROVIDERS is not JSON" in problem
    assert KEY not in problem
