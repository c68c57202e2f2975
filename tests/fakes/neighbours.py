"""Neighbours of madre that can misbehave: they speak the real contracts, keep what they were asked, and have a `fault`."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from config.clock import utc_now
from config.contracts.common import Health, HealthState, Job, StatusEnum
from config.contracts.hermes import (
    CliScan,
    DownloadRequest,
    Fit,
    FoundCli,
    FoundModel,
    HubFile,
    ModelRemoved,
    Removal,
    ScoreParts,
    SearchRequest,
    SearchResult,
    Upkeep,
    VersionState,
)
from config.contracts.hermes_db import Cli, Model
from config.contracts.shub import Asset, AssetDeleted, ChainRequest, MasterRequest, MixRequest
from config.contracts.shub_analysis import AudioAnalysis
from config.contracts.shub_language import Interpretation, InterpretRequest
from config.contracts.switch import RouteReply, RouteRequest

Fault = Exception | httpx.Response | None


@dataclass
class Fake(httpx.AsyncBaseTransport):
    """A neighbour behind httpx's transport. `fault` is raised or answered instead of working."""

    fault: Fault = None
    asked: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return self.fault
        if request.url.path.endswith("/health"):
            return answer(Health(status=HealthState.OK, service="fake"))
        return await self.work(request)

    async def work(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError


def answer(content: Any, status: int = 200) -> httpx.Response:
    body = content.model_dump_json() if hasattr(content, "model_dump_json") else json.dumps(content, default=str)
    return httpx.Response(status, content=body, headers={"content-type": "application/json"})


def problem(code: str, status: int, detail: str = "no") -> httpx.Response:
    body = {
        "type": f"/errors/{code}",
        "title": "",
        "status": status,
        "detail": detail,
        "service": "fake",
        "request_id": "",
    }
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


@dataclass
class FakeShub(Fake):
    """Assets, jobs that end when `finish` is set, deletes that are counted, and commands that mean what `meanings` says they do."""

    assets: dict[str, Asset] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    mix_asked: asyncio.Event = field(default_factory=asyncio.Event)
    deleted: list[str] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    analyses: int = 0
    meanings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The actions of a command, by its text; another one is not interpreted here."""
    ordered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every job that was ordered: its kind and its request."""

    def __post_init__(self) -> None:
        self.finish.set()

    def add(self, name: str) -> str:
        asset_id = f"asset_{name}"
        self.assets[asset_id] = Asset(
            asset_id=asset_id, sha256="0" * 64, name=f"{name}.wav", size_bytes=1, format="wav", encoding="PCM_24", duration_seconds=1.0,
            sample_rate_hz=48_000, channels=2, created_at=utc_now(),
        )  # fmt: skip
        return asset_id

    async def work(self, request: httpx.Request) -> httpx.Response:
        path, parts = request.url.path, request.url.path.strip("/").split("/")
        if parts[1] == "assets":
            if parts[2] not in self.assets:
                return problem("not_found", 404, f"there is no asset {parts[2]}")
            if request.method == "DELETE":
                self.grants.append(request.headers["x-vx11-grant"])
                self.deleted.append(parts[2])
                del self.assets[parts[2]]
                return answer(AssetDeleted(asset_id=parts[2], sha256="0" * 64))
            return answer(self.assets[parts[2]])
        if path == "/shub/analyze":
            self.analyses += 1
            asset_id = json.loads(request.content)["asset_id"]
            return answer(
                AudioAnalysis(
                    asset_id=asset_id, target="streaming",
                    integrated_lufs=-14.0, loudness_range_lu=3.0, true_peak_dbtp=-1.2, sample_peak_dbfs=-1.3,
                    max_momentary_lufs=-12.0, max_short_term_lufs=-13.0, duration_seconds=1.0, sample_rate_hz=48_000, channels=2,
                )
            )  # fmt: skip
        if path == "/shub/interpret":
            return self.interpret(InterpretRequest.model_validate_json(request.content))
        if path in ("/shub/mix", "/shub/chain", "/shub/master"):
            kind = parts[1]
            order: Any = {"mix": MixRequest, "chain": ChainRequest, "master": MasterRequest}[kind]
            asked = order.model_validate_json(request.content).model_dump(mode="json")
            key = request.headers["idempotency-key"]
            if key not in self.keys:
                job_id = f"job_{len(self.jobs)}"
                self.keys[key] = job_id
                self.jobs[job_id] = Job(job_id=job_id, kind=kind, status=StatusEnum.RUNNING, created_at=utc_now())
                self.ordered.append((kind, asked))
            if kind == "mix":
                self.mix_asked.set()
            return answer(self.jobs[self.keys[key]], 202)
        if path == "/shub/jobs":
            wanted = request.url.params.get_list("status")
            found = [job.model_dump(mode="json") for job in self.jobs.values() if job.status in wanted]
            return answer({"items": found, "next_cursor": None})
        job = self.jobs[parts[2]]
        if parts[-1] == "cancel":
            job = job.model_copy(update={"status": StatusEnum.CANCELLED})
        elif self.finish.is_set() and not job.status.is_final:
            made = self.add(f"{job.kind}_{job.job_id}")
            job = job.model_copy(
                update={
                    "status": StatusEnum.DONE,
                    "progress": 1.0,
                    "result": {"asset_id": made, "name": f"{job.kind}.wav", "size_bytes": 10, "integrated_lufs": -14.0}
                    | self.stems_out(job.job_id),
                }
            )
        self.jobs[job.job_id] = job
        return answer(job)

    def stems_out(self, job_id: str) -> dict[str, Any]:
        """What a mix's result says of its stems, where the order asked for them as files."""
        asked = self.ordered[int(job_id.removeprefix("job_"))][1]
        if not asked.get("stems_out"):
            return {}
        names = [stem["asset_id"].removeprefix("asset_") for stem in asked["stems"]]
        return {
            "stems": [
                {"name": f"{name}.wav", "stem_asset_id": self.add(f"stem_{name}"), "stem_size_bytes": 7}
                for name in names
            ]
        }

    def interpret(self, request: InterpretRequest) -> httpx.Response:
        if request.command not in self.meanings:
            return problem("not_found", 404, "no such route")
        actions = self.meanings[request.command]
        return answer(
            Interpretation.model_validate(
                {
                    "actions": actions,
                    "confidence": 0.9 if actions else 0.2,
                    "language": "es",
                    "needs_clarification": not actions,
                    "questions": [] if actions else ["¿Qué quieres decir?"],
                }
            )
        )


SWITCH_STATUS: dict[str, Any] = {
    "active": True,
    "models": ["fake-1"],
    "light_llm": {
        "name": "fake-1", "state": "stopped", "detail": "", "pid": None, "starts": 0, "deaths": 0, "answering": 0, "waiting": 0,
        "asleep_after_seconds": 300.0, "stopped_after_seconds": 900.0,
    },
    "rotation": {"budget_bytes": 0, "used_bytes": 0, "active": None, "warm": None, "models": []},
    "queue": {
        "waiting": 0, "limit": 1000, "by_priority": {}, "by_model": {}, "oldest_waiting_ms": 0.0, "served": 0,
        "rejected": 0, "loads": 0,
    },
    "shub_mode_active": False,
    "loaded": [],
    "registry": {"models": 0, "clis": [], "read_at": "2026-01-01T00:00:00Z"},
    "stats": {
        "total_queries": 0, "answered": 0, "errors": 0, "failed_over": 0, "avg_response_time_ms": 0.0,
        "unreported_uses": 0, "lost_records": 0,
    },
}  # fmt: skip


@dataclass
class FakeSwitch(Fake):
    """Answers every prompt with `text`; has one provider when `provider` is not local."""

    provider: str = "local"
    text: str = "It evens out levels."

    async def work(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/switch/status":
            providers = (
                []
                if self.provider == "local"
                else [{"name": self.provider, "models": ["m"], "state": "ok", "detail": ""}]
            )
            return answer(SWITCH_STATUS | {"providers": providers})
        RouteRequest.model_validate_json(request.content)
        return answer(
            RouteReply(
                decision_id="d1", answer=self.text, model="fake-1", provider=self.provider, reason="only one", latency_ms=1.0, queue_ms=0.0
            )
        )  # fmt: skip


@dataclass
class FakeHermesDb(Fake):
    """The models that are registered in it, and one tool."""

    models: list[Model] = field(default_factory=list)

    def add(self, name: str, **more: Any) -> Model:
        facts = {
            "id": len(self.models) + 1,
            "name": name,
            "model_id": f"hub/{name}",
            "source": "huggingface",
            "size_bytes": 398_000_000,
        }
        model = Model.model_validate(
            dict.fromkeys(Model.model_fields)
            | {"tags": [], "adjacent_fields": [], "performance_score": 0.5, "usage_count": 0, "is_active": True, "metadata": {}}
            | facts | {"license": "apache-2.0", "specialty": "code", "added_at": utc_now()} | more
        )  # fmt: skip
        self.models.append(model)
        return model

    async def work(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hermes_db/models":
            specialty = request.url.params.get("specialty")
            found = [one.model_dump(mode="json") for one in self.models if specialty in (None, one.specialty)]
            return answer({"items": found, "next_cursor": None})
        cli = dict.fromkeys(Cli.model_fields) | {
            "id": 1,
            "name": "git",
            "added_at": utc_now(),
            "metadata": {},
        }
        cli |= {
            "description": "",
            "token_required": False,
            "answers_prompts": False,
            "usage_count": 0,
            "is_active": True,
        }
        return answer({"items": [cli], "next_cursor": None})


@dataclass
class FakeHermes(Fake):
    """Models to be found, downloads as jobs that end when `finish` is set, removals that are counted."""

    found: list[FoundModel] = field(default_factory=list)
    searches: list[SearchRequest] = field(default_factory=list)
    downloads: dict[str, DownloadRequest] = field(default_factory=dict)
    """The orders by their Idempotency-Keys."""
    jobs: dict[str, Job] = field(default_factory=dict)
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    asked_for: asyncio.Event = field(default_factory=asyncio.Event)
    job_error: str | None = None
    removed: list[int] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    to_go: list[int] = field(default_factory=list)
    """Models that upkeep would remove."""
    registry: FakeHermesDb = field(default_factory=FakeHermesDb)

    def __post_init__(self) -> None:
        self.finish.set()

    def add(self, model_id: str, *versions: tuple[str, int], **more: Any) -> FoundModel:
        """A model with these quantisations and sizes."""
        files = [
            HubFile(path=f"m-{name}.gguf", size_bytes=size, sha256="0" * 64, format="gguf", quantization=name)
            for name, size in versions
        ]
        smallest = min((size for _, size in versions), default=None)
        fit = Fit(
            is_fitting=True, needs_disk_bytes=smallest, free_disk_bytes=10**12, needs_memory_bytes=smallest,
            free_memory_bytes=10**12, detail="",
        )  # fmt: skip
        facts = dict.fromkeys(FoundModel.model_fields) | {
            "model_id": model_id, "source": "huggingface", "score": 0.5, "files": files, "fit": fit, "license": "apache-2.0",
            "parts": ScoreParts(popularity=0.5, like_ratio=0.5, quality_tags=0.5, recency=0.5), "size_bytes": smallest,
            "quantizations": [name for name, _ in versions], "is_gated": False, "is_kept": False, "tags": [], "revision": "a" * 40,
        }  # fmt: skip
        self.found.append(FoundModel.model_validate(facts | more))
        return self.found[-1]

    async def work(self, request: httpx.Request) -> httpx.Response:
        path, parts = request.url.path, request.url.path.strip("/").split("/")
        if path == "/hermes/search":
            self.searches.append(SearchRequest.model_validate_json(request.content))
            return answer(SearchResult(items=self.found, warnings=[]))
        if path == "/hermes/download":
            return answer(self._download(request), 202)
        if path == "/hermes/maintenance":
            is_dry = request.url.params["dry_run"] == "true"
            if not is_dry:
                self.grants.append(request.headers["x-vx11-grant"])
            gone = [Removal(id=one, name=f"model {one}", size_bytes=10**9, reason="least used") for one in self.to_go]
            return answer(
                Upkeep(
                    is_dry_run=is_dry, models_before=9, bytes_before=10, most_models=8, budget_bytes=10, removed=gone, kept=[],
                    is_within_limits=True, warnings=[],
                )
            )  # fmt: skip
        if path == "/hermes/clis":
            tool = FoundCli(
                name="git", kind="vcs", answers_prompts=False, is_present=True, path="/bin/git", version="2.47",
                version_state=VersionState.KNOWN,
            )  # fmt: skip
            gone = tool.model_copy(update={"name": "gone", "is_present": False})
            return answer(CliScan(items=[tool, gone], present=1, pending=0, scanned_at=utc_now(), took_ms=1.0))
        if parts[1] == "models":
            self.grants.append(request.headers["x-vx11-grant"])
            self.removed.append(int(parts[2]))
            return answer(ModelRemoved(model_id=int(parts[2]), name="removed", freed_bytes=398_000_000))
        if path == "/hermes/jobs":
            wanted = request.url.params.get_list("status")
            found = [job.model_dump(mode="json") for job in self.jobs.values() if job.status in wanted]
            return answer({"items": found, "next_cursor": None})
        return answer(self._job(parts[2], parts[-1] == "cancel"))

    def _download(self, request: httpx.Request) -> Job:
        key = request.headers["idempotency-key"]
        if key not in self.downloads:
            self.downloads[key] = DownloadRequest.model_validate_json(request.content)
            self.jobs[key] = Job(job_id=key, kind="download", status=StatusEnum.RUNNING, created_at=utc_now())
        self.asked_for.set()
        return self.jobs[key]

    def _job(self, key: str, is_cancelled: bool) -> Job:
        job = self.jobs[key]
        if is_cancelled and not job.status.is_final:
            job = job.model_copy(update={"status": StatusEnum.CANCELLED})
        elif self.finish.is_set() and not job.status.is_final:
            ended: dict[str, Any] = {"status": StatusEnum.ERROR, "error": self.job_error}
            if self.job_error is None:
                made = self.registry.add(self.downloads[key].model_id.partition("/")[2].lower(), sha256="ab" * 32)
                ended = {"status": StatusEnum.DONE, "progress": 1.0, "result": made.model_dump(mode="json")}
            job = job.model_copy(update=ended)
        self.jobs[key] = job
        return job
