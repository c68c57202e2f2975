"""Why a model did not answer, in the few kinds that make a difference to what is done next."""

from enum import StrEnum


class FailureKind(StrEnum):
    UNREACHABLE = "unreachable"
    """No connection, or it closed without a byte of an answer."""
    LATE = "late"
    CUT = "cut"
    """The answer began and broke off."""
    GARBAGE = "garbage"
    """What came is not an answer in OpenAI's shape."""
    KEY_REFUSED = "key_refused"
    FORBIDDEN = "forbidden"
    """Our account may not ask this model (403); another of the same provider perhaps."""
    LIMITED = "limited"
    SERVER_ERROR = "server_error"
    NO_SUCH_MODEL = "no_such_model"
    UNUSABLE = "unusable"
    """The local model cannot be started."""
    BUSY = "busy"
    """Too many wait for the local model already."""
    OVER_BUDGET = "over_budget"
    """It may cost more than may still be spent. Nobody was asked."""
    UNSUPPORTED = "unsupported"
    """It cannot take the request, and another may: its API has no words for something, or it said so."""
    TRIPPED = "tripped"
    """It failed so often lately that it is left alone for now. Nobody was asked."""

    @property
    def is_of_the_provider(self) -> bool:
        """Whether the provider's other models would fail in the same way."""
        return self in (FailureKind.UNREACHABLE, FailureKind.LATE, FailureKind.KEY_REFUSED)


class Failure(Exception):
    """A model did not answer. `detail` is for people and holds nothing secret; `param` names a member of the request that is in the way."""

    def __init__(
        self, kind: FailureKind, detail: str, *, retry_after_seconds: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after_seconds = kind, detail, retry_after_seconds
        self.param = param
