"""Keys of providers: from the settings, else the environment or `.env`, else hermes_db. Nobody but their provider is shown them."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import structlog
from dotenv import dotenv_values

from config.clock import utc_now
from config.contracts.common import Page
from config.contracts.hermes_db import TokenFacts, TokenValue
from config.errors import Conflict, FleetError, Forbidden, NotFound

ENV_FILE = Path(".env")
PER_PAGE = 500

log = structlog.get_logger()

Source = Literal["settings", "environment", "hermes_db"]


class KeepsTokens(Protocol):
    """hermes_db, as far as it matters here."""

    async def tokens(self, *, limit: int = ..., cursor: str | None = ...) -> Page[TokenFacts]: ...

    async def token_value(self, service: str) -> TokenValue: ...


@dataclass(frozen=True, slots=True)
class Key:
    value: str = field(repr=False)
    source: Source


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    changed_at: datetime


def environment() -> Mapping[str, str]:
    """The variables of this process, and those of `.env` that it does not have itself."""
    return {name: value for name, value in dotenv_values(ENV_FILE).items() if value} | {
        name: value for name, value in os.environ.items() if value.strip()
    }


class Keys:
    def __init__(self, hermes_db: KeepsTokens, variables: Mapping[str, str]) -> None:
        self._hermes_db = hermes_db
        self._variables = {name: value.strip() for name, value in variables.items()}
        self._kept: dict[str, _Kept] = {}
        self._unread: dict[str, str] = {}

    def of(self, name: str, variables: Collection[str], *, setting: str | None = None) -> Key | None:
        """The key of a provider, or None where there is none that can be sent."""
        if setting is not None:
            return Key(setting, "settings")
        for variable in variables:
            value = self._variables.get(variable, "")
            if value and _is_sendable(value):
                return Key(value, "environment")
        kept = self._kept.get(name)
        return None if kept is None else Key(kept.value, "hermes_db")

    def why_not(self, name: str, variables: Collection[str]) -> str:
        """Why a key that is there does not count; empty where there is none."""
        for variable in variables:
            if self._variables.get(variable):
                return f"{variable} holds something that cannot be a key: one is visible ASCII characters"
        return self._unread.get(name, "")

    async def refresh(self, names: Collection[str]) -> bool:
        """Read what hermes_db keeps for these names: what it tells of keys, then the value of each that is new or was changed.

        Reading a value counts against its limit, being told of it does not: so a key costs one use for each time it is stored. A
        hermes_db that cannot be asked leaves everything as it was: then False comes back.
        """
        try:
            told, self._unread = await self._told(names)
        except FleetError as error:
            log.info("keys_not_read", code=error.code)
            return False
        self._kept = {name: kept for name, kept in self._kept.items() if name in told}
        for name, changed_at in told.items():
            if name not in self._kept or self._kept[name].changed_at != changed_at:
                await self._read(name, changed_at)
        return True

    async def _told(self, names: Collection[str]) -> tuple[dict[str, datetime], dict[str, str]]:
        """By name, when the value of each usable key was set, and what is wrong with the others."""
        usable: dict[str, datetime] = {}
        others: dict[str, str] = {}
        cursor: str | None = None
        now = utc_now()
        while True:
            page = await self._hermes_db.tokens(limit=PER_PAGE, cursor=cursor)
            for token in page.items:
                if token.service not in names:
                    continue
                if not token.is_active:
                    others[token.service] = "its key in hermes_db is switched off"
                elif token.expires_at is not None and token.expires_at <= now:
                    others[token.service] = "its key in hermes_db has expired"
                else:
                    usable[token.service] = token.changed_at
            cursor = page.next_cursor
            if cursor is None:
                return usable, others

    async def _read(self, name: str, changed_at: datetime) -> None:
        try:
            token = await self._hermes_db.token_value(name)
        except FleetError as error:
            log.warning("key_not_read", provider=name, code=error.code)
            self._unread[name] = f"hermes_db does not give its key: {error.detail}"
            if isinstance(error, NotFound | Conflict | Forbidden):  # it is gone, or not for us; anything else passes
                self._kept.pop(name, None)
            return
        self._kept[name] = _Kept(token.token.get_secret_value(), changed_at)


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value
