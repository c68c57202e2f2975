"""Servers of models on this machine that are not ours: Ollama, llama.cpp, vLLM, LM Studio. They are asked for their models now and then."""

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic_core import from_json

from config.settings import SERVICES
from switch.calls import FREE, Facts
from switch.failures import Failure, FailureKind
from switch.providers import catalogue
from switch.settings import SwitchSettings
from switch.upstream import Address

CONNECT_SECONDS, ANSWER_SECONDS = 0.5, 2.0
MOST_MODELS = 500
LONGEST_NAME = 256  # characters
OWNERS = {"llama.cpp": "llamacpp", "vllm": "vllm"}
"""Who the owner of every model is at these servers; someone else at the usual port is someone else."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and what it has."""

    name: str
    base_url: str
    models: Mapping[str, Facts]


class LocalServers:
    """`look`, then `found` has those that run."""

    def __init__(self, settings: SwitchSettings) -> None:
        self.places = {
            name: url.rstrip("/") if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"
            for name, url in settings.switch_local_servers.items()
            if not _is_ours(url, settings)
        }
        self.found: dict[str, Server] = {}

    async def look(self) -> None:
        """Ask all of them at once. Who does not answer in time is taken to be busy and stays; who is gone, or is no such server, leaves."""
        servers = await asyncio.gather(*(self._look_at(name, url) for name, url in self.places.items()))
        found = {server.name: server for server in servers if server is not None}
        for name in found.keys() - self.found.keys():
            log.info("local_server_found", server=name, models=len(found[name].models))
        for name in self.found.keys() - found.keys():
            log.info("local_server_gone", server=name)
        self.found = found

    async def _look_at(self, name: str, url: str) -> Server | None:
        try:
            models = await _models(name, url)
        except Failure as failure:
            return self.found.get(name) if failure.kind is FailureKind.LATE else None
        return Server(name, url, models) if models else None


async def _models(name: str, url: str) -> dict[str, Facts]:
    """What a server has; nothing where it is not the one that the name says. Raises Failure when it does not answer as a server would."""
    if name == "ollama":
        root = url.removesuffix("/v1")
        if not isinstance((await _asked(name, root, "/api/version")).get("version"), str):
            return {}
    listed = (await _asked(name, url, "/models")).get("data")
    owner = OWNERS.get(name)
    found: dict[str, Facts] = {}
    for one in listed[:MOST_MODELS] if isinstance(listed, list) else ():
        match one:
            case {"id": str(model)} if 0 < len(model) <= LONGEST_NAME and model.isprintable():
                if owner is not None and one.get("owned_by") != owner:
                    return {}
                if "embed" not in model.lower():
                    found[model] = _facts(model, one)
    return found


def _facts(model: str, told: dict[str, Any]) -> Facts:
    made_for, adjacent = catalogue.specialties(model)
    meta = told.get("meta")
    trained = meta.get("n_ctx_train") if isinstance(meta, dict) else None  # llama.cpp; `max_model_len` is vLLM's
    context = next((n for n in (told.get("max_model_len"), trained) if isinstance(n, int) and n > 0), None)
    return Facts(context_tokens=context, specialties=made_for, adjacent=adjacent, price=FREE)


async def _asked(name: str, url: str, path: str) -> dict[str, Any]:
    """A JSON object that a server answers. Raises Failure."""
    address = Address(url, {}, name=name, connect_seconds=CONNECT_SECONDS, keeps_connections=False)
    exchange = await address.get(path, within_seconds=ANSWER_SECONDS)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            said = await exchange.whole(ANSWER_SECONDS)
        content = from_json(said)
    except (TimeoutError, ValueError) as exc:  # one that drips for ever is no server of models
        raise Failure(FailureKind.GARBAGE, f"{name} answered something else") from exc
    finally:
        exchange.release()
    if exchange.status != 200 or not isinstance(content, dict):
        raise Failure(FailureKind.GARBAGE, f"{name} answered something else")
    return content


def _is_ours(url: str, settings: SwitchSettings) -> bool:
    """Whether a service of the fleet listens there."""
    parts = urlsplit(url)
    return _is_this_machine(parts.hostname or "", settings) and parts.port in {
        settings.port_of(one) for one in SERVICES
    }


def _is_this_machine(host: str, settings: SwitchSettings) -> bool:
    if host in ("localhost", settings.host):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
