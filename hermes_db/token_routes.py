"""HTTP in, HTTP out: keys of outside services."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from config.auth import CallerDep
from config.contracts.common import Page
from config.contracts.hermes_db import (
    DeviceSignIn,
    DeviceState,
    ServiceName,
    TokenChange,
    TokenDeleted,
    TokenFacts,
    TokenNew,
    TokenRenewal,
    TokensRotated,
    TokenValue,
)
from config.errors import (
    Conflict,
    Forbidden,
    GrantRefused,
    NotFound,
    TooManyRequests,
    UpstreamContractError,
    UpstreamUnavailable,
    documented,
)
from config.idempotency import KeyDep
from config.pages import PageDep
from hermes_db.errors import TokenKeyUnusable
from hermes_db.github import GithubSignIn
from hermes_db.tokens import Tokens

router = APIRouter(tags=["tokens"])


async def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


async def _github(request: Request) -> GithubSignIn:
    github: GithubSignIn = request.app.state.github
    return github


TokensDep = Annotated[Tokens, Depends(_tokens)]
GithubDep = Annotated[GithubSignIn, Depends(_github)]
Service = Annotated[ServiceName, Path(description="The outside service, such as `github` or `huggingface`")]


@router.post(
    "/tokens",
    summary="Store a key, or replace it",
    responses=documented(Conflict, TokenKeyUnusable)
    | {201: {"model": TokenFacts, "description": "There was none for this service before"}},
)
async def put_token(
    body: TokenNew, caller: CallerDep, key: KeyDep, tokens: TokensDep, response: Response
) -> TokenFacts:
    """The answer tells everything but the value. How often the earlier one was read today goes on counting."""
    token = await tokens.put(body, caller, key)
    response.status_code = 201 if token.added_at == token.changed_at else 200
    return token


@router.get("/tokens", summary="What is known of the keys, without the keys")
async def list_tokens(page: PageDep, tokens: TokensDep) -> Page[TokenFacts]:
    return await tokens.page(page)


@router.get("/tokens/renewals", summary="Keys that are due for renewal")
async def renewals(
    page: PageDep,
    tokens: TokensDep,
    days: Annotated[
        int, Query(ge=0, le=3660, description="Due within so many times 24 hours; late ones are always told")
    ] = 14,
) -> Page[TokenRenewal]:
    return await tokens.renewals(days, page)


@router.post("/tokens/rotate", summary="Encrypt every key anew, with a new key", responses=documented(TokenKeyUnusable))
async def rotate(caller: CallerDep, tokens: TokensDep) -> TokensRotated:
    """A second time only rotates once more: nothing is lost by a repeat."""
    return await tokens.rotate(caller)


@router.post(
    "/tokens/github/device",
    summary="Begin a sign-in at GitHub",
    responses=documented(Conflict, UpstreamUnavailable, UpstreamContractError),
)
async def begin_device(caller: CallerDep, github: GithubDep, body: DeviceSignIn | None = None) -> DeviceState:
    """Open `verification_uri` and enter `user_code`; the key is then stored for the service `github`.

    While one waits, asking again tells the same code. A restart of this service forgets it: begin again.
    """
    return await github.begin((body or DeviceSignIn()).scope, caller)


@router.get("/tokens/github/device", summary="Where the sign-in at GitHub stands", responses=documented(NotFound))
async def device(github: GithubDep) -> DeviceState:
    return github.state()


@router.get("/tokens/{service}", summary="What is known of a key", responses=documented(NotFound))
async def show_token(service: Service, tokens: TokensDep) -> TokenFacts:
    return await tokens.token(service)


@router.patch(
    "/tokens/{service}",
    summary="Change what is known of a key, or its value",
    responses=documented(NotFound, TokenKeyUnusable),
)
async def change_token(service: Service, body: TokenChange, caller: CallerDep, tokens: TokensDep) -> TokenFacts:
    """Change what is sent and keep the rest. `{"is_active": false}` takes it out of use, and can be undone."""
    return await tokens.change(service, body, caller)


@router.delete(
    "/tokens/{service}",
    summary="Forget a key; needs a grant or the scope hermes_db:delete",
    responses=documented(GrantRefused, NotFound),
)
async def delete_token(
    service: Service,
    caller: CallerDep,
    tokens: TokensDep,
    grant: Annotated[str | None, Header(alias="X-VX11-Grant", max_length=4096)] = None,
) -> TokenDeleted:
    return await tokens.delete(service, caller, grant)


@router.get(
    "/tokens/{service}/value",
    summary="The key itself: for services, on this port",
    responses=documented(Forbidden, NotFound, Conflict, TooManyRequests, TokenKeyUnusable),
)
async def token_value(
    service: Service, request: Request, response: Response, caller: CallerDep, tokens: TokensDep
) -> TokenValue:
    """Takes the fleet's token, in a service's own name; clients and what comes through the gateway are refused.

    Counts as one use of today (UTC). `addresses` is compared with the address that the connection comes from.
    """
    response.headers["Cache-Control"] = "no-store"
    return await tokens.value(service, caller, request.client.host if request.client else None)
