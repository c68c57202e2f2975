"""The process that works on sound: `python -m shub.worker PARENT_PID`. The service starts it, feeds it, and kills it at will.

One task a line on standard input, as JSON; on standard output lines of progress, then one answer. It holds no secret, dies with its
parent, and ends when its input ends. What reads audio is imported at the first task that needs it.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shub.dsp.refusals import AudioRefused
from shub.dsp.sniff import refuse_false_name
from shub.task_answers import made_file, readable, rounded, told

PR_SET_PDEATHSIG = 1
NICENESS = 5
"""Sound may take long; requests may not."""
PROGRESS_STEP = 0.005

Tell = Callable[[dict[str, Any]], None]


def main(parent_pid: int) -> None:
    """Serve tasks until the input ends."""
    _die_with(parent_pid)
    os.nice(NICENESS)
    # What C libraries print must not get between our lines.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer, allow_nan=False) + "\n")

    for line in sys.stdin:
        task = json.loads(line)
        tell(answer_to(task, tell))
        if task["op"] == "probe":
            threading.Thread(target=_get_ready, daemon=True).start()
    os._exit(0)  # at once, also where the thread is in the middle of an import


def answer_to(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """The last line of a task: `{"done": …}`, `{"refused": …}` or `{"failed": …}`."""
    try:
        return {"done": _OPERATIONS[task["op"]](task, tell)}
    except AudioRefused as refusal:
        return {"refused": {"code": refusal.code, "detail": refusal.detail}}
    except OSError as exc:
        is_full = exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return {"failed": {"code": "storage_full" if is_full else "input_output", "detail": exc.strerror or str(exc)}}


def _probe(task: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    from shub.dsp.decode import probe

    info = probe(Path(task["path"]), _limits(task))
    refuse_false_name(task["name"], info.container)
    return {
        "format": info.container,
        "encoding": info.subtype,
        "duration_seconds": info.duration_seconds,
        "sample_rate_hz": info.sample_rate_hz,
        "channels": info.channels,
    }


def _analyze(task: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    from shub.dsp.analysis import analyze
    from shub.dsp.findings import findings_of

    found = analyze(
        Path(task["path"]),
        lambda _part: None,
        layout=task["channel_layout"],
        with_series=task["series"],
        with_details=task["details"],
        limits=_limits(task),
    )
    return findings_of(found)


def _chain(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    from shub.dsp.excerpts import Excerpt
    from shub.dsp.provenance import versions
    from shub.dsp.rendering import Output, Rendering, render

    preview, files = task["preview"], {asset_id: Path(path) for asset_id, path in task["files"].items()}
    output = Output(task["format"], task["bit_depth"], task["dither"], task["sample_rate_hz"], task["bitrate_kbps"])
    order = Rendering(
        files[task["asset_id"]],
        tuple(task["chain"]["effects"]),
        output,
        files,
        Excerpt(**preview) if preview else None,
    )
    target = Path(task["target"])
    made = render(order, target, Path(task["scratch"]), _progress(tell), _limits(task))
    return {
        "files": [
            made_file(target, task["name"], output.container, output.bits, made.rate_hz, made.channels, made.frames)
        ],
        "versions": versions(),
        "loudness": readable(made.loudness),
        "clipped_db": rounded(made.clipped_db),
        "applied": told(made.applied),
    }


def _mix(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    from shub.mix_task import run

    return run(task, _progress(tell), _limits(task))


def _master(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    from shub.master_task import run

    return run(task, _progress(tell), _limits(task))


def _progress(tell: Tell) -> Callable[[float], None]:
    told = 0.0

    def progress(part: float) -> None:
        nonlocal told
        if part >= told + PROGRESS_STEP:
            told = part
            tell({"progress": part * 0.98})  # the rest is for hashing and keeping the file

    return progress


def _picture(task: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    from shub.dsp.pictures.drawing import draw

    draw(
        task["kind"],
        *(Path(task["path"]), task["name"], task["aim"], Path(task["target"]), task["width"], task["height"]),
        limits=_limits(task),
    )
    return {}


def _warm(_task: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    from shub.dsp.warming import warm

    return {"compiled": warm()}


_OPERATIONS: dict[str, Callable[[dict[str, Any], Tell], dict[str, Any]]] = {
    "probe": _probe,
    "analyze": _analyze,
    "picture": _picture,
    "chain": _chain,
    "mix": _mix,
    "master": _master,
    "warm": _warm,
}


def _limits(task: dict[str, Any]) -> Any:
    from shub.dsp.decode import Limits

    return Limits(max_duration_seconds=task["max_duration_seconds"])


def _get_ready() -> None:
    """After an upload a measurement or a mix mostly follows: have its libraries in memory by then."""
    import shub.dsp.mixdown  # noqa: F401


def _die_with(parent_pid: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service decides about us
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
