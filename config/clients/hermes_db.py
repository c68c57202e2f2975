"""How to ask hermes_db."""

from collections.abc import Sequence
from typing import Any

from config.clients.service_client import ServiceClient, segment
from config.contracts.common import Page
from config.contracts.hermes_db import (
    Active,
    Cli,
    CliChange,
    CliFacts,
    CliNew,
    Lease,
    LeaseNew,
    LeaseReturn,
    Model,
    ModelChange,
    ModelKept,
    ModelNew,
    ModelUse,
    ModelUseRecorded,
    Specialty,
    SpecialtyChange,
    SpecialtyInTree,
    SpecialtyNew,
    Stats,
    TokenFacts,
    TokenNew,
    TokenValue,
    Use,
    UsesRecorded,
)


class HermesDbClient(ServiceClient):
    """Raises, beyond what every client raises: NotFound for ids and names that are not there, Conflict for names that are taken,
    InvalidRequest for values that do not fit and for what a request names and does not exist."""

    service = "hermes_db"

    async def models(
        self,
        *,
        specialty: str | None = None,
        source: str | None = None,
        model_type: str | None = None,
        tag: str | None = None,
        max_size_bytes: int | None = None,
        search: str | None = None,
        active: Active = Active.ACTIVE,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Model]:
        """Models that fit all filters, oldest first."""
        wanted = {
            "specialty": specialty,
            "source": source,
            "model_type": model_type,
            "tag": tag,
            "max_size_bytes": max_size_bytes,
            "search": search,
            "active": active.value,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._get("/hermes_db/models", Page[Model], params=_sent(wanted))

    async def model(self, model_id: int) -> Model:
        return await self._get(f"/hermes_db/models/{model_id}", Model)

    async def register_model(self, new: ModelNew, *, idempotency_key: str | None = None) -> Model:
        return await self._post("/hermes_db/models", new, Model, idempotency_key=idempotency_key)

    async def keep_model(self, found: ModelKept) -> Model:
        """Register a model that lies on this box, or bring what is known of its file up to date; the way of every downloaded model.

        It is looked for by name, then by path. What people decide stays: name, tags, specialty, score.
        """
        return await self._ask("PUT", "/hermes_db/models", Model, json=found.model_dump(mode="json"))

    async def change_model(self, model_id: int, change: ModelChange) -> Model:
        """Change those fields that were set in `change`; `is_active=True` brings a deactivated model back."""
        body = change.model_dump(mode="json", exclude_unset=True)
        return await self._ask("PATCH", f"/hermes_db/models/{model_id}", Model, json=body)

    async def deactivate_model(self, model_id: int) -> Model:
        return await self._ask("DELETE", f"/hermes_db/models/{model_id}", Model)

    async def record_model_use(
        self, model_id: int, use: ModelUse, *, idempotency_key: str | None = None
    ) -> ModelUseRecorded:
        path = f"/hermes_db/models/{model_id}/usage"
        return await self._post(path, use, ModelUseRecorded, idempotency_key=idempotency_key)

    async def record_uses(self, uses: Sequence[Use], *, idempotency_key: str | None = None) -> UsesRecorded:
        """Keep a batch of at most `MOST_USES`, all or none."""
        body = [use.model_dump(mode="json", exclude_none=True) for use in uses]
        return await self._ask("POST", "/hermes_db/usage", UsesRecorded, json=body, idempotency_key=idempotency_key)

    async def clis(
        self,
        *,
        kind: str | None = None,
        answers_prompts: bool | None = None,
        search: str | None = None,
        active: Active = Active.ACTIVE,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Cli]:
        """Command-line tools that fit all filters, oldest first."""
        wanted = {
            "kind": kind,
            "answers_prompts": answers_prompts,
            "search": search,
            "active": active.value,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._get("/hermes_db/clis", Page[Cli], params=_sent(wanted))

    async def cli(self, name: str) -> Cli:
        return await self._get(_cli_path(name), Cli)

    async def register_cli(self, new: CliNew, *, idempotency_key: str | None = None) -> Cli:
        return await self._post("/hermes_db/clis", new, Cli, idempotency_key=idempotency_key)

    async def put_cli(self, name: str, facts: CliFacts) -> Cli:
        """Register the tool, or replace what is known of it."""
        return await self._ask("PUT", _cli_path(name), Cli, json=facts.model_dump(mode="json"))

    async def change_cli(self, name: str, change: CliChange) -> Cli:
        """Change those fields that were set in `change`."""
        return await self._ask("PATCH", _cli_path(name), Cli, json=change.model_dump(mode="json", exclude_unset=True))

    async def deactivate_cli(self, name: str) -> Cli:
        return await self._ask("DELETE", _cli_path(name), Cli)

    async def take_cli(self, name: str, lease: LeaseNew | None = None, *, idempotency_key: str | None = None) -> Lease:
        """Take a turn with a tool, before it is run. Raises TooManyRequests naming the limit, with `Retry-After` in its headers, and
        Conflict for a tool that was deactivated."""
        return await self._post(
            f"{_cli_path(name)}/leases", lease or LeaseNew(), Lease, idempotency_key=idempotency_key
        )

    async def give_cli_back(self, name: str, lease_id: str, how: LeaseReturn) -> Lease:
        """Give the turn back and tell how the tool did; a second time changes nothing."""
        body = how.model_dump(mode="json", exclude_none=True)
        return await self._ask("DELETE", f"{_cli_path(name)}/leases/{segment(lease_id)}", Lease, json=body)

    async def specialty(self, name: str) -> SpecialtyInTree:
        return await self._get(f"/hermes_db/specialties/{segment(name)}", SpecialtyInTree)

    async def change_specialty(self, name: str, change: SpecialtyChange) -> SpecialtyInTree:
        """Change those fields that were set in `change`. Raises Conflict where the tree would become a circle."""
        body = change.model_dump(mode="json", exclude_unset=True)
        return await self._ask("PATCH", f"/hermes_db/specialties/{segment(name)}", SpecialtyInTree, json=body)

    async def specialties(self, *, limit: int = 500, cursor: str | None = None) -> Page[Specialty]:
        params = _sent({"limit": limit, "cursor": cursor})
        return await self._get("/hermes_db/specialties", Page[Specialty], params=params)

    async def add_specialty(self, new: SpecialtyNew, *, idempotency_key: str | None = None) -> Specialty:
        return await self._post("/hermes_db/specialties", new, Specialty, idempotency_key=idempotency_key)

    async def tokens(self, *, limit: int = 50, cursor: str | None = None) -> Page[TokenFacts]:
        """What is known of the keys of outside services, without the keys."""
        return await self._get("/hermes_db/tokens", Page[TokenFacts], params=_sent({"limit": limit, "cursor": cursor}))

    async def put_token(self, new: TokenNew, *, idempotency_key: str | None = None) -> TokenFacts:
        body = new.model_dump(mode="json", exclude_none=True) | {"token": new.token.get_secret_value()}
        return await self._post("/hermes_db/tokens", body, TokenFacts, idempotency_key=idempotency_key)

    async def token_value(self, service: str) -> TokenValue:
        """The key for an outside service; counts as one use of it, and is written to the audit trail.

        Raises NotFound when there is none, Conflict when it is expired or inactive, TooManyRequests (with `Retry-After`) when it was read
        as often as one day allows, Forbidden when it is not for the address that asks.
        """
        return await self._get(f"/hermes_db/tokens/{segment(service)}/value", TokenValue)

    async def stats(self, *, days: int = 30) -> Stats:
        """What is registered, and what was used in the last `days` times 24 hours."""
        return await self._get("/hermes_db/stats", Stats, params={"days": days})


def _sent(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


def _cli_path(name: str) -> str:
    return f"/hermes_db/clis/{segment(name)}"
