"""A model as the hub tells of it, read with care: nothing the hub says is believed to be well-formed. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from config.contracts.hermes import HUB_ID, HubFile
from config.contracts.hermes_db import LARGEST_INTEGER
from hermes.versions import format_of, is_safe, quantization_of

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

MOST_FILES = 10_000
"""Of one model; the rest is not looked at."""
_SHA = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger()


@dataclass(frozen=True)
class HubModel:
    """A model as the hub tells of it. `files` and `git_oids` are empty where it came from a search."""

    model_id: str
    sha: str | None
    is_gated: bool
    is_private: bool
    license: str | None
    tags: tuple[str, ...]
    downloads: int | None
    likes: int | None
    created_at: datetime | None
    last_modified: datetime | None
    pipeline_tag: str | None
    library_name: str | None
    context_length: int | None
    files: tuple[HubFile, ...] = ()
    git_oids: Mapping[str, str] = field(default_factory=dict)
    """By path: git's SHA-1 of a file (of `blob <size>\\0` and its content), all there is for small files."""


def read_model(one: "ModelInfo") -> HubModel | None:
    """None for one without a name that could be asked for."""
    if not isinstance(one.id, str) or not re.fullmatch(HUB_ID, one.id):
        log.warning("hub_name_ignored", name=repr(one.id)[:200])
        return None
    tags = tuple(tag for tag in one.tags or () if _is_text(tag))
    facts = one.gguf if isinstance(one.gguf, dict) else {}
    config = one.config if isinstance(one.config, dict) else {}
    files, git_oids = _files(one)
    return HubModel(
        model_id=one.id,
        sha=one.sha if isinstance(one.sha, str) and _SHA.fullmatch(one.sha) else None,
        is_gated=bool(one.gated),
        is_private=bool(one.private),
        license=next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None),
        tags=tags,
        downloads=_count(one.downloads),
        likes=_count(one.likes),
        created_at=_instant(one.created_at),
        last_modified=_instant(one.last_modified),
        pipeline_tag=one.pipeline_tag if _is_text(one.pipeline_tag) else None,
        library_name=one.library_name if _is_text(one.library_name) else None,
        context_length=_count(facts.get("context_length")) or _count(config.get("max_position_embeddings")),
        files=files,
        git_oids=git_oids,
    )


def _files(one: "ModelInfo") -> tuple[tuple[HubFile, ...], dict[str, str]]:
    """Those with a safe name; a size or hash that cannot be one is left out."""
    found: dict[str, HubFile] = {}
    git_oids: dict[str, str] = {}
    for sibling in (one.siblings or [])[:MOST_FILES]:
        path = sibling.rfilename
        if not isinstance(path, str) or not is_safe(path):
            log.warning("hub_file_ignored", model_id=one.id, path=repr(path)[:200])
            continue
        lfs = sibling.lfs
        sha256 = str(lfs.sha256).lower() if lfs is not None else ""
        found[path] = HubFile(
            path=path,
            size_bytes=_count(lfs.size if lfs is not None else sibling.size),
            sha256=sha256 if _SHA256.fullmatch(sha256) else None,
            format=format_of(path),
            quantization=quantization_of(path),
        )
        if isinstance(sibling.blob_id, str) and _SHA.fullmatch(sibling.blob_id) and lfs is None:
            git_oids[path] = sibling.blob_id
    return tuple(found.values()), git_oids


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _count(value: object) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= LARGEST_INTEGER else None  # type: ignore[operator,return-value]


def _instant(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
