"""One switch for each file, over a provider of each dialect; before each test everybody behaves, and nobody was asked."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.gemini_upstream import GeminiUpstream
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.switch.three_dialects import Router, three_dialects


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Router]:
    async with three_dialects(migrated, tmp_path_factory.mktemp("router")) as router:
        yield router


@pytest.fixture
def router(running: Router) -> Router:
    running.forget()
    return running


@pytest.fixture
def client(router: Router) -> httpx.AsyncClient:
    return router.http


@pytest.fixture
def upstream(router: Router) -> OpenAIUpstream:
    return router.gpt


@pytest.fixture
def claude(router: Router) -> AnthropicUpstream:
    return router.claude


@pytest.fixture
def gemini(router: Router) -> GeminiUpstream:
    return router.gemini
