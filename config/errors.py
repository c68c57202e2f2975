"""Errors of the fleet: one class per stable code, rendered once, as `application/problem+json` (RFC 9457)."""

from typing import Any, ClassVar

PROBLEM = "application/problem+json"


class FleetError(Exception):
    """An answer other than success. Subclasses give `code`, `status` and `title`; an instance gives the `detail`.

    `extra` adds members to the problem (RFC 9457, section 3.2); `headers` are sent with it.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong here"
    by_code: ClassVar[dict[str, type["FleetError"]]] = {}

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        self.detail, self.headers, self.extra = detail or self.title, headers or {}, extra
        super().__init__(self.detail)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        FleetError.by_code[cls.code] = cls

    def problem(self, service: str, request_id: str) -> dict[str, Any]:
        return {
            "type": f"/errors/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "service": service,
            "request_id": request_id,
            **self.extra,
        }


class InvalidRequest(FleetError):
    """The request does not have the shape that the route documents."""

    code, status, title = "invalid_request", 422, "The request does not fit what this route takes"


class MalformedRequest(FleetError):
    """The request cannot even be read: broken JSON, bad bytes, a bad header."""

    code, status, title = "malformed_request", 400, "The request cannot be read"


class Unauthorized(FleetError):
    """No token, or one that is wrong, revoked or expired."""

    code, status, title = "unauthorized", 401, "A valid token is needed"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        hint = "send X-VX11-Token or Authorization: Bearer; the owner's token is in <state_dir>/secrets/token"
        super().__init__(f"{detail or 'no token was sent'}; {hint}", headers={"WWW-Authenticate": "Bearer"}, **extra)


class Forbidden(FleetError):
    """The token is valid and does not reach this far."""

    code, status, title = "forbidden", 403, "This token may not do that"


class GrantRefused(FleetError):
    """A dangerous operation without a grant for exactly these parameters, and without a scope that names it."""

    code, status, title = "grant_refused", 403, "This operation needs a confirmed plan or a token made for it"


class NotFound(FleetError):
    code, status, title = "not_found", 404, "There is nothing here by that name"


class JobNotFound(NotFound):
    """There is no job by that id."""

    code, status, title = "job_not_found", 404, "There is no such job"


class MethodNotAllowed(FleetError):
    code, status, title = "method_not_allowed", 405, "This route does not take that method"


class Conflict(FleetError):
    code, status, title = "conflict", 409, "This does not fit the present state"


class IdempotencyConflict(FleetError):
    """The Idempotency-Key was used before with another request."""

    code, status, title = "idempotency_conflict", 409, "This Idempotency-Key belongs to another request"


class IdempotencyInProgress(FleetError):
    """The first request with this Idempotency-Key is still being worked on; ask again."""

    code, status, title = "idempotency_in_progress", 409, "The first request with this key is still under way"


class BodyTooLarge(FleetError):
    code, status, title = "body_too_large", 413, "The request body is too large"


class TooManyRequests(FleetError):
    code, status, title = "too_many_requests", 429, "Too many requests"


class UpstreamContractError(FleetError):
    """A neighbour answered something that is not in its contract."""

    code, status, title = "upstream_contract", 502, "A neighbour answered off its contract"


class UpstreamUnavailable(FleetError):
    """A neighbour is down, late or out of order."""

    code, status, title = "upstream_unavailable", 503, "A neighbour cannot be reached"


class NotInFleet(FleetError):
    """The service that would do this is not part of this fleet."""

    code, status, title = "not_in_fleet", 501, "No service of this fleet does that yet"


class FleetHalted(FleetError):
    """Everything stands still until `POST /madre/resume`; nothing was changed."""

    code, status, title = "fleet_halted", 409, "The fleet is halted"


class StorageFull(FleetError):
    """The disk or the database has no room left; nothing was changed."""

    code, status, title = "storage_full", 507, "There is no room left on the disk"


def documented(*errors: type[FleetError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses=` for the errors a route may answer beyond those that every route shares."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        text = (error.__doc__ or error.title).strip().splitlines()[0]
        before = found.get(error.status, {}).get("description")
        found[error.status] = {
            "description": f"{before} / {text}" if before else text,
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found
