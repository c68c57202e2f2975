"""Models in the registry, with real files and processes that only play llama.cpp."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, update

from config.clock import utc_now
from config.database import Database
from config.db_schema import ModelRow
from config.settings import MIB
from switch.local import process
from switch.settings import SwitchSettings
from tests.fakes.model_files import gguf

PATH = "/v1/chat/completions"
ONE, TWO = 120, 240
"""Memory in MiB for one such model, and for two."""


@dataclass
class Box:
    """A switch with local models, and what can be seen and done from outside."""

    client: httpx.AsyncClient
    folder: Path
    registry: Database

    async def add(self, *names: str, content: bytes | None = None, **fields: Any) -> None:
        """Put models into the registry and let switch know."""
        for number, name in enumerate(names):
            path = self.folder / f"{name}.gguf"
            path.write_bytes(gguf(name=name, seed=number) if content is None else content)
            row = {
                "name": name, "model_id": name, "source": "local", "path": str(path), "model_type": "gguf", "tags": [],
                "adjacent_fields": [], "performance_score": 0.5, "usage_count": 0, "is_active": True,
            } | fields  # fmt: skip
            async with self.registry.write() as session:
                await session.execute(insert(ModelRow).values(added_at=utc_now(), metadata_={}, **row))
        await self.refresh()

    async def change(self, name: str, **fields: Any) -> None:
        async with self.registry.write() as session:
            await session.execute(update(ModelRow).where(ModelRow.name == name).values(**fields))
        await self.refresh()

    async def refresh(self) -> None:
        assert (await self.client.post("/switch/registry/refresh")).status_code == 200

    async def ask(self, model: str, text: str = "hello", **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
        return await self.client.post(PATH, json=body)

    async def said(self, model: str, text: str = "hello") -> str:
        answer = await self.ask(model, text)
        assert answer.status_code == 200, answer.text
        words: str = answer.json()["choices"][0]["message"]["content"]
        return words

    async def rotation(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/switch/rotation")).json()
        return found

    async def model(self, name: str) -> dict[str, Any]:
        return next(one for one in (await self.rotation())["models"] if one["name"] == name)

    async def queue(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/switch/queue")).json()
        return found

    async def until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the rotation until it is as it should be."""
        async with asyncio.timeout(30):
            while not is_so(found := await self.rotation()):
                await asyncio.sleep(0.005)  # the interval of a poll
        return found

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(30):
            while (await self.queue())["waiting"] != count:
                await asyncio.sleep(0.005)

    def tell_load(self, name: str, what: str | None) -> None:
        """How loading goes from now on: `wait`, `fail`, or well."""
        file = self.folder / f"{name}.gguf.load"
        if what is None:
            file.unlink()
        else:
            file.write_text(what)

    @property
    def loads(self) -> list[str]:
        """The models that were loaded, in order."""
        return [line.split()[0] for line in self._lines]

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self._lines]

    @property
    def _lines(self) -> list[str]:
        file = self.folder / "loads.txt"
        return file.read_text().splitlines() if file.exists() else []


OpensBox = Callable[..., AbstractAsyncContextManager[Box]]


@pytest.fixture
def fake_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder with the script that runs instead of llama.cpp."""
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("fake_child.py"), folder / "child.py")
    monkeypatch.setattr(process, "SCRIPT", folder / "child.py")
    return folder


@pytest.fixture
def box(fake_child: Path, settings_of: Callable[..., SwitchSettings], served: Any) -> OpensBox:
    """`async with box(local_memory_mb=ONE) as up`."""

    @asynccontextmanager
    async def run(**given: Any) -> AsyncIterator[Box]:
        settings = settings_of(**({"local_memory_mb": ONE, "local_try_out": False, "local_slots": 1} | given))
        registry = Database(settings.sqlalchemy_url(), "hermes_db")
        async with served(settings) as client:
            yield Box(client, fake_child, registry)
        await registry.close()

    return run


__all__ = ["MIB", "ONE", "PATH", "TWO", "Box", "OpensBox"]
