"""How to ask shub."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from config.clients.service_client import ServiceClient, segment
from config.contracts.common import Job, Page, StatusEnum
from config.contracts.shub import Asset, AssetDeleted, ChainRequest, Layout, MasterRequest, MixRequest, Target
from config.contracts.shub_analysis import AnalyzeRequest, AudioAnalysis
from config.contracts.shub_language import Interpretation, InterpretRequest
from config.errors import FleetError, NotFound


class ShubClient(ServiceClient):
    """Raises, beyond what every client raises, the refusals below when the audio itself is the reason."""

    service = "shub"

    async def asset(self, asset_id: str) -> Asset:
        """What is known of a file. Raises AssetNotFound."""
        return await self._get(f"/shub/assets/{segment(asset_id)}", Asset)

    async def assets(self, *, limit: int = 50, cursor: str | None = None) -> Page[Asset]:
        """Files, newest first."""
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return await self._get("/shub/assets", Page[Asset], params=params)

    async def content(self, asset_id: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, in pieces as they come. Raises AssetNotFound before the first."""
        async with aclosing(self._pieces(f"/shub/assets/{segment(asset_id)}/content")) as pieces:
            async for piece in pieces:
                yield piece

    async def analyze(
        self,
        asset_id: str,
        *,
        channel_layout: Layout | None = None,
        series: bool = False,
        target: Target = "streaming",
        details: bool = True,
        idempotency_key: str | None = None,
        timeout_seconds: float = 600.0,
    ) -> AudioAnalysis:
        """Measurements of a file, judged for `target`; without `details`, loudness and peaks alone.

        Raises AssetNotFound, or an AudioProblem for a file that cannot be measured.
        """
        body = AnalyzeRequest(
            asset_id=asset_id, channel_layout=channel_layout, series=series, target=target, details=details
        )
        return await self._post(
            "/shub/analyze", body, AudioAnalysis, idempotency_key=idempotency_key, timeout_seconds=timeout_seconds
        )

    async def mix(self, order: MixRequest, *, idempotency_key: str | None = None) -> Job:
        """Start a mix; the job's `result` becomes a MixResult. Raises AssetNotFound when a stem is not there.

        The same key and order give the same job, whatever became of it.
        """
        return await self._post("/shub/mix", _said(order), Job, idempotency_key=idempotency_key)

    async def interpret(self, request: InterpretRequest, *, timeout_seconds: float = 10.0) -> Interpretation:
        """A command to the audio engineer as actions with units; nothing is done."""
        return await self._post("/shub/interpret", request, Interpretation, timeout_seconds=timeout_seconds)

    async def chain(self, order: ChainRequest, *, idempotency_key: str | None = None) -> Job:
        """Start a chain of effects on one file; the job's `result` becomes a ChainResult. Raises AssetNotFound."""
        return await self._post("/shub/chain", _said(order), Job, idempotency_key=idempotency_key)

    async def master(self, order: MasterRequest, *, idempotency_key: str | None = None) -> Job:
        """Start a master; the job's `result` becomes a MasterResult. Raises AssetNotFound."""
        return await self._post("/shub/master", _said(order), Job, idempotency_key=idempotency_key)

    async def job(self, job_id: str) -> Job:
        """Where a job stands. Raises JobNotFound."""
        return await self._get(f"/shub/jobs/{segment(job_id)}", Job)

    async def unfinished_jobs(self) -> list[Job]:
        """Every job that waits or runs, oldest last."""
        found: list[Job] = []
        params: dict[str, Any] = {"status": [StatusEnum.PENDING, StatusEnum.RUNNING], "limit": 200}
        while True:
            page = await self._get("/shub/jobs", Page[Job], params=params)
            found += page.items
            if page.next_cursor is None:
                return found
            params["cursor"] = page.next_cursor

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a job; a job that has ended stays as it is. Raises JobNotFound."""
        return await self._post(f"/shub/jobs/{segment(job_id)}/cancel", None, Job)

    async def delete_asset(
        self, asset_id: str, *, grant: str | None = None, idempotency_key: str | None = None
    ) -> AssetDeleted:
        """Delete a file. The grant is for `shub:delete` with exactly `{"asset_id": asset_id}`.

        Raises GrantRefused, AssetNotFound, and AssetInUse while a job reads it.
        """
        return await self._ask(
            "DELETE", f"/shub/assets/{segment(asset_id)}", AssetDeleted, grant=grant, idempotency_key=idempotency_key
        )


class AssetNotFound(NotFound):
    """There is no audio file by that id, or it was deleted."""

    code, status, title = "asset_not_found", 404, "There is no such audio file"


class AssetInUse(FleetError):
    """A job that has not ended reads this file."""

    code, status, title = "asset_in_use", 409, "A job is using this file"


class AudioProblem(FleetError):
    """The audio cannot be used as it is; the subclasses say why."""

    code, status, title = "audio_refused", 422, "This audio cannot be used"


class UnsupportedAudio(AudioProblem):
    """The bytes are none of WAV, FLAC, MP3 and Ogg."""

    code, status, title = "unsupported_audio", 415, "This is not a kind of audio that is taken here"


class MislabelledAudio(AudioProblem):
    """The file's name promises another format than its bytes hold."""

    code, status, title = "mislabelled_audio", 415, "The name of this file does not fit what is in it"


class EmptyAudio(AudioProblem):
    """There is not one sample in it."""

    code, status, title = "empty_audio", 422, "There is no sound in this file"


class TruncatedAudio(AudioProblem):
    """The file ends before the audio that its own header announces."""

    code, status, title = "truncated_audio", 422, "This file is cut off"


class UnreadableAudio(AudioProblem):
    """The bytes start like audio and cannot be decoded."""

    code, status, title = "unreadable_audio", 422, "This file is damaged"


class AudioTooLong(AudioProblem):
    """It plays longer than `max_duration_seconds`."""

    code, status, title = "audio_too_long", 422, "This audio is too long"


class TooManyChannels(AudioProblem):
    """More channels than the measurement standard names."""

    code, status, title = "too_many_channels", 422, "This audio has too many channels"


class UnsupportedSampleRate(AudioProblem):
    """The sample rate is outside of 8 to 192 kHz."""

    code, status, title = "unsupported_sample_rate", 422, "This sample rate is not taken"


class NotFiniteAudio(AudioProblem):
    """A floating-point file holds NaN or infinity."""

    code, status, title = "not_finite_audio", 422, "This file holds numbers that are no sound"


class UnknownChannelLayout(AudioProblem):
    """The channel layout asked for does not fit the file."""

    code, status, title = "unknown_channel_layout", 422, "This channel layout does not fit the file"


class NotForThisFormat(AudioProblem):
    """The file format asked for does not hold so many channels, or not at that rate."""

    code, status, title = "not_for_this_format", 422, "This format cannot hold it"


class FrequencyAboveNyquist(AudioProblem):
    """A filter's frequency lies at or above half the sample rate; the text names the effect and the numbers."""

    code, status, title = "frequency_above_nyquist", 422, "This sound has nothing at that frequency"


class StereoNeeded(AudioProblem):
    """The effect works on left and right, and the sound has not just these two."""

    code, status, title = "stereo_needed", 422, "This effect needs stereo"


class AudioWorkerLost(FleetError):
    """The process that did the work ended without an answer; nothing was changed, and asking again may work."""

    code, status, title = "audio_worker_lost", 503, "The audio worker was lost"


def _said(order: MixRequest | ChainRequest | MasterRequest) -> dict[str, Any]:
    """What an order says and nothing else: a place or a target that was not said is shub's to find, a default that is sent is not."""
    return order.model_dump(mode="json", exclude_unset=True)
