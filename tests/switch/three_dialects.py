"""One switch for all tests of a module, over a provider of each dialect."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from config.secrets import FleetSecrets, load_secrets
from switch.main import create_app
from switch.settings import SwitchSettings
from tests.fakes.anthropic_upstream import AnthropicUpstream, anthropic_upstream
from tests.fakes.gemini_upstream import GeminiUpstream, gemini_upstream
from tests.fakes.openai_upstream import OpenAIUpstream, openai_upstream
from tests.switch.conftest import ALONE, KEY, provider, serving

GPT, CLAUDE, GEMINI = "mock/gpt", "claude/claude-haiku-4-5", "google/gemini-2.5-flash"


@dataclass
class Router:
    """A running switch and those whom it asks."""

    url: str
    secrets: FleetSecrets
    http: httpx.AsyncClient
    """With the owner's token."""
    gpt: OpenAIUpstream
    claude: AnthropicUpstream
    gemini: GeminiUpstream

    @property
    def token(self) -> str:
        return self.secrets.owner.get_secret_value()

    def forget(self) -> None:
        """Everybody behaves again, and nobody was asked."""
        for one in (self.gpt, self.claude, self.gemini):
            one.behaviour = "fine"
            one.behaviours.clear()
            one.asked.clear()
            one.left, one.go_on = asyncio.Event(), asyncio.Event()


@asynccontextmanager
async def three_dialects(migrated: Path, folder: Path) -> AsyncIterator[Router]:
    """Nobody is left alone after a failure, nothing is asked twice, and the two that are not OpenAI's are preferred."""
    shutil.copytree(migrated, folder / "state")
    async with openai_upstream() as gpt, anthropic_upstream() as claude, gemini_upstream() as gemini:
        anthropics = {"base_url": claude.base_url, "api_key": KEY, "models": ["claude-haiku-4-5"], "api": "anthropic"}
        googles = {"base_url": gemini.base_url, "api_key": KEY, "models": ["gemini-2.5-flash"], "api": "gemini"}
        settings = SwitchSettings(
            state_dir=folder / "state",
            **ALONE,
            light_model_path=folder / "no-such-model.gguf",
            providers={"mock": provider(gpt, "gpt"), "claude": anthropics, "google": googles},
            switch_preferred=["claude", "google"],
            switch_cooling=0,
            switch_retries=0,
            switch_connect_timeout=60,
            connect_timeout=60,
            switch_look_for_servers_every=0,
            _env_file=None,
        )
        secrets = load_secrets(settings)
        headers = {"X-VX11-Token": secrets.owner.get_secret_value()}
        async with (
            serving(create_app(settings)) as url,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=30, verify=False) as http,
        ):
            yield Router(url, secrets, http, gpt, claude, gemini)
