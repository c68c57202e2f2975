"""The model hub, asked through its own client: models, their files with true sizes and hashes, and what is wrong when it is wrong.

The client blocks, waits without end and repeats what failed for up to half a minute; so it runs in threads of our own, every call has a
deadline for all of it, and what fails is told at once. Nothing the hub says is believed to be well-formed.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

import structlog

from config.clients.hermes_db import HermesDbClient
from config.clock import utc_now
from config.contracts.hermes import HUB_ID
from config.errors import FleetError, NotFound
from hermes.errors import (
    FileNotOnHub,
    GatedModel,
    HubBroken,
    HubRateLimited,
    HubTokenRefused,
    HubUnreachable,
    ModelNotOnHub,
    RevisionNotFound,
)
from hermes.hub_model import HubModel, read_model
from hermes.settings import HermesSettings

if TYPE_CHECKING:
    from huggingface_hub import HfApi

THREADS = 8
"""Questions to the hub at the same time."""
TOKEN_SERVICE = "huggingface"
TOKEN_SECONDS = 600.0
"""How long a token that hermes_db gave is used before it is asked again: each time counts against its limit of a day."""
LISTED: list[Any] = [
    "createdAt", "downloads", "gated", "gguf", "lastModified", "library_name", "likes", "pipeline_tag", "private", "sha", "tags",
]  # fmt: skip
"""What a search asks of each model; its files come with `info`."""
_RATE_LIMIT = re.compile(r"r\s*=\s*0\b.*?t\s*=\s*(\d+)")
_NO_TOKEN = "set VX11_HERMES_HUB_TOKEN, or store the token as `huggingface` in hermes_db (POST /hermes_db/tokens)"

Sort = Literal["downloads", "likes", "last_modified"]
Reply = TypeVar("Reply")

log = structlog.get_logger()


class Hub:
    """Asks the hub. Raises HubUnreachable, HubRateLimited, HubBroken, HubTokenRefused, and where one model is asked for
    ModelNotOnHub, RevisionNotFound and GatedModel."""

    def __init__(self, settings: HermesSettings, hermes_db: HermesDbClient) -> None:
        self._settings, self._hermes_db = settings, hermes_db
        self.url = settings.hermes_hub_url.rstrip("/")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hub")
        self._token: tuple[float, str] | None = None
        self._unread: str | None = None
        """Why hermes_db did not give the token it has, when it was asked last."""
        self._is_prepared = False

    async def close(self) -> None:
        """Threads that still wait for the hub end at their deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def file_url(self, model_id: str, sha: str, path: str) -> str:
        """Where a file of a commit is. Large ones redirect to another host, which must not be shown the token."""
        return f"{self.url}/{model_id}/resolve/{sha}/{quote(path)}"

    def access_url(self, model_id: str) -> str:
        """The page where a gated model's licence is accepted."""
        return f"{self.url}/{model_id}"

    async def token(self) -> str | None:
        """The hub's token: the setting, or the one that hermes_db keeps. None where there is none, or hermes_db cannot be asked."""
        if self._settings.hermes_hub_token is not None:
            return self._settings.hermes_hub_token.get_secret_value()
        now = time.monotonic()
        if self._token is not None and now - self._token[0] < TOKEN_SECONDS:
            return self._token[1]
        try:
            kept = await self._hermes_db.token_value(TOKEN_SERVICE)
        except NotFound:  # asked again each time, so that one stored a moment ago is used; this counts against no limit
            self._unread = None
            return None
        except FleetError as error:
            log.warning("hub_token_unread", code=error.code, detail=error.detail)  # public models need none
            self._unread = error.detail
            return None
        self._token, self._unread = (now, kept.token.get_secret_value()), None
        return self._token[1]

    async def search(
        self, query: str, *, limit: int, sort: Sort | None = None, tags: Sequence[str] = ()
    ) -> list[HubModel]:
        """Models whose name has the words, in the hub's order of `sort` (`downloads`, `likes`, `last_modified`), that have all tags."""

        def ask(api: "HfApi", token: str | bool) -> list[HubModel]:
            found = api.list_models(
                search=query or None, limit=limit, sort=sort, filter=list(tags) or None, expand=LISTED, token=token
            )
            return [model for one in found if (model := read_model(one)) is not None]

        return await self._ask(ask, f"a search for {query!r}")

    async def info(self, model_id: str, revision: str | None = None) -> HubModel:
        """A model with its files at a commit, branch or tag; its newest when none is given. `sha` is the commit."""
        if not re.fullmatch(HUB_ID, model_id):
            raise ModelNotOnHub(f"{model_id!r} is no name of a model")

        def ask(api: "HfApi", token: str | bool) -> HubModel:
            found = read_model(api.model_info(model_id, revision=revision, files_metadata=True, token=token))
            if found is None or found.sha is None:
                raise HubBroken(f"the hub tells of {model_id} without its name or its commit")
            return found

        return await self._ask(ask, model_id, model_id=model_id, revision=revision)

    async def _ask(self, ask: "Callable[[HfApi, str | bool], Reply]", about: str, **asked: Any) -> Reply:
        token = await self.token()
        seconds = self._settings.hermes_hub_timeout.total_seconds()

        if not self._is_prepared:  # outside of the time that the hub has
            await asyncio.get_running_loop().run_in_executor(self._pool, prepare, self._settings)
            self._is_prepared = True

        def run() -> Reply:
            from hermes import hub_client

            try:
                with hub_client.asking(self.url, seconds):
                    return ask(hub_client.HfApi(endpoint=self.url, token=False), token or False)
            except FleetError:
                raise
            except Exception as exc:
                raise self._problem_of(exc, about, token is not None, seconds=seconds, **asked) from exc

        try:
            async with asyncio.timeout(
                seconds + 1
            ):  # the deadline ends the thread's work; this, a wait for a name server
                return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        except TimeoutError:
            hang_up()
            raise self._late(about, seconds) from None
        except HubTokenRefused:
            self._token = None  # it may have been renewed
            raise

    def _problem_of(
        self,
        exc: Exception,
        about: str,
        has_token: bool,
        *,
        seconds: float,
        model_id: str | None = None,
        revision: str | None = None,
    ) -> FleetError:
        from hermes import hub_client

        if isinstance(exc, hub_client.HfHubHTTPError):
            status, headers = exc.response.status_code, exc.response.headers
            return self.refusal_of(status, headers, about, has_token, model_id=model_id, revision=revision)
        if isinstance(exc, hub_client.OfflineModeIsEnabled):
            return HubUnreachable("HF_HUB_OFFLINE is set in the environment: nothing is asked of the hub")
        cause = exc.__cause__ if isinstance(exc, hub_client.Failed) else exc
        if isinstance(cause, hub_client.TooLate | hub_client.httpx2.TimeoutException):
            return self._late(about, seconds)
        if isinstance(cause, hub_client.httpx2.TransportError):
            return HubUnreachable(
                f"{self.url} cannot be reached ({type(cause).__name__}: {about}); VX11_HERMES_HUB_URL says where the hub is"
            )
        if isinstance(cause, hub_client.httpx2.TooManyRedirects):
            return HubBroken(f"{self.url} redirects in circles ({about}); VX11_HERMES_HUB_URL says where the hub is")
        if isinstance(cause, hub_client.HFValidationError):
            return ModelNotOnHub(f"{about} is no name of a model")
        return HubBroken(
            f"{self.url} answers what no hub answers ({about}: {type(cause).__name__}); VX11_HERMES_HUB_URL says where the hub is"
        )

    def refusal_of(
        self,
        status: int,
        headers: Mapping[str, str],
        about: str,
        has_token: bool,
        *,
        model_id: str | None = None,
        revision: str | None = None,
    ) -> FleetError:
        """What a hub's answer of `status` and these headers (in any case) means for us."""
        told = {name.lower(): value for name, value in headers.items()}
        code, message = told.get("x-error-code"), told.get("x-error-message", "")
        if code == "GatedRepo" and model_id is not None:
            where = f"the licence of {model_id} has to be accepted first at {self.access_url(model_id)}"
            return GatedModel(
                f"{where}, by the owner of the hub's token (VX11_HERMES_HUB_TOKEN or `huggingface` in hermes_db)"
                if has_token
                else f"{where}; {self._without_token()}"
            )
        if status == 401 and has_token and code != "RepoNotFound":
            where = (
                "VX11_HERMES_HUB_TOKEN" if self._settings.hermes_hub_token else "the token `huggingface` in hermes_db"
            )
            return HubTokenRefused(f"the hub refuses {where}: put a valid one in its place, or remove it")
        if code == "RevisionNotFound":
            return RevisionNotFound(f"{model_id} has no revision {revision!r}")
        if code == "EntryNotFound":
            return FileNotOnHub(f"the hub has no file {about}")
        if message == "Access to this resource is disabled.":
            return ModelNotOnHub(f"the hub has disabled {model_id or about}")
        if model_id is not None and (status in (401, 404) or code == "RepoNotFound"):
            hidden = "" if has_token else f"; if it is private, {self._without_token()}"
            return ModelNotOnHub(f"the hub has no model {model_id}{hidden}")
        if status == 429:
            return _rate_limited(told, about)
        if status >= 500:
            return HubUnreachable(f"{self.url} is out of order ({status}: {about}); try again later")
        if status in (401, 403):
            return HubTokenRefused(f"the hub does not let us in ({status}: {about}); {self._without_token()}")
        return HubBroken(f"{self.url} answers {status} ({about}); VX11_HERMES_HUB_URL says where the hub is")

    def _without_token(self) -> str:
        """What to do where a token would help and none was shown."""
        if self._unread is not None:
            return f"the token `huggingface` in hermes_db could not be used: {self._unread}"
        return _NO_TOKEN

    def _late(self, about: str, seconds: float) -> HubUnreachable:
        return HubUnreachable(
            f"{self.url} did not answer within {seconds:g} s ({about}); VX11_HERMES_HUB_TIMEOUT says how long is waited"
        )


def prepare(settings: HermesSettings) -> None:
    """Import the hub's client, with the switches that it reads from the environment at that moment: nothing is told to anybody, nothing
    is printed, and no token is found anywhere but in our own settings. Takes a second."""
    os.environ |= {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HOME": str(settings.state_dir / "cache" / "huggingface"),
    }
    from hermes import hub_client  # noqa: F401


def hang_up() -> None:
    """Close the connections to the hub. An answer whose head comes drop by drop keeps every limit of a read, and its thread for ever."""
    from hermes import hub_client

    hub_client.close_session()


def _rate_limited(headers: Mapping[str, str], about: str) -> HubRateLimited:
    seconds = retry_after_seconds(headers)
    if seconds is None:
        return HubRateLimited(f"the hub wants to be asked less ({about}); try again later")
    return HubRateLimited(
        f"the hub wants to be asked less ({about}); try again in {seconds:.0f} s",
        headers={"Retry-After": str(int(seconds + 0.999))},
        retry_after_seconds=seconds,
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long a 429 or 503 asks to wait: `RateLimit` of the hub, or `Retry-After` in seconds or as a date. Names in lower case."""
    if found := _RATE_LIMIT.search(headers.get("ratelimit", "")):
        return float(found[1][:9])
    told = headers.get("retry-after", "").strip()
    if told.isdecimal():
        return float(told[:9])
    try:
        return max(0.0, (parsedate_to_datetime(told) - utc_now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
