"""What was found out about model files by loading them, kept over restarts in `<state_dir>/models/local.json` by their SHA-256."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Experience:
    """`measured` holds bytes by the shape (context and slots) with which the model was loaded. `failure` tells why its trial failed."""

    measured: dict[str, int]
    is_tried: bool = False
    failure: str | None = None


NONE = Experience({})


class Remembered:
    """Small enough to be written whole each time. A file that cannot be read or written costs a trial, not an answer."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known = _read(file)

    def of(self, sha256: str) -> Experience:
        return self._known.get(sha256, NONE)

    def keep(self, sha256: str, **changes: Any) -> None:
        """Remember more of a file; `measured` is added to what was measured before."""
        before = self.of(sha256)
        if "measured" in changes:
            changes["measured"] = before.measured | changes["measured"]
        self._known[sha256] = replace(before, **changes)
        try:
            _write(self.file, {name: asdict(one) for name, one in self._known.items()})
        except OSError as exc:
            log.warning("experience_not_kept", file=str(self.file), error=repr(exc))


def _read(file: Path) -> dict[str, Experience]:
    try:
        return {name: Experience(**one) for name, one in json.loads(file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # none yet, or not ours


def _write(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            json.dump(content, out, indent=1)
        os.replace(draft, file)
    except OSError:
        os.unlink(draft)
        raise
