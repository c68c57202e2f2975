"""The gateway's own routes; everything else it forwards."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from config.auth import CallerDep
from config.contracts.common import Page
from config.contracts.gateway import TokenInfo, TokenMade, TokenRequest
from config.errors import BodyTooLarge, Conflict, IdempotencyConflict, NotFound, TooManyRequests, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from gateway.service import Tokens

router = APIRouter(prefix="/tokens", tags=["client tokens"], responses=documented(TooManyRequests))


async def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


TokensDep = Annotated[Tokens, Depends(_tokens)]


@router.post(
    "",
    status_code=201,
    summary="Make a client token",
    responses=documented(BodyTooLarge, IdempotencyConflict, Conflict),
)
async def make_token(body: TokenRequest, caller: CallerDep, key: KeyDep, tokens: TokensDep) -> TokenMade:
    """The token is in this answer and nowhere else. Scopes are `<module>:<operation>`, `<module>:*` or `*`; a star leaves out the
    dangerous operations, which must be named. Nobody gives what they do not have, except the owner."""
    return await tokens.make(body, caller, key)


@router.get("", summary="List client tokens")
async def list_tokens(
    page: PageDep,
    tokens: TokensDep,
    active: Annotated[bool | None, Query(description="Only good ones, or only revoked and expired ones")] = None,
) -> Page[TokenInfo]:
    return await tokens.page(page, is_active=active)


@router.delete("/{token_id}", summary="Revoke a client token", responses=documented(NotFound))
async def revoke_token(token_id: str, caller: CallerDep, tokens: TokensDep) -> TokenInfo:
    """From now on it opens nothing here; within two seconds nothing on the modules' own ports."""
    return await tokens.revoke(token_id, caller)
