"""A master as the worker does it: listen, plan, apply the plan as any chain is applied, tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shub.dsp.decode import Limits, probe
from shub.dsp.excerpts import Excerpt, part_of
from shub.dsp.formats import LOSSY, rate_for
from shub.dsp.lossy import Fitting
from shub.dsp.loudness_target import shortfall_lu
from shub.dsp.matching import matching_bands
from shub.dsp.meter import Loudness
from shub.dsp.profiling import Profile, profile_of
from shub.dsp.provenance import versions
from shub.dsp.rendering import Output, Rendered, Rendering, render
from shub.master_plan import Aim, Plan, Sound, corrected, plan
from shub.task_answers import made_file, readable, rounded, told

Task = dict[str, Any]
Progress = Callable[[float], None]
Effects = tuple[dict[str, Any], ...]
_LISTENED = 0.3  # how far the work is when it begins to render


@dataclass(frozen=True)
class _Master:
    """The whole as it was made, and what of it was written: the same, or a part from `start_seconds` on."""

    whole: Rendered
    heard: Rendered
    start_seconds: float = 0.0


def run(task: Task, progress: Progress, limits: Limits) -> dict[str, Any]:
    """The answer to a task `master`: a file and what was applied, or with `dry_run` only the chain."""
    files = {asset_id: Path(path) for asset_id, path in task["files"].items()}
    share = 1.0 if task["dry_run"] else _LISTENED
    before, planned = _listen(task, files, lambda part: progress(share * part), limits)
    plain = (*task["chain"], *planned.effects)
    reasons = [{"stem": "master", "code": code, "text": text} for code, text in planned.reasons]
    answer: dict[str, Any] = {"versions": versions(), "target_lufs": planned.target_lufs, "before": readable(before)}
    if task["dry_run"]:
        return answer | {"files": [], "effects": list(plain), "reasons": reasons}
    made, chain = _fitted(task, files, plain, lambda part: progress(share + (1.0 - share) * part), limits)
    if chain != plain:
        text = f"{task['format']} moves peaks and takes highs: it is given what comes out of it as it was asked for"
        reasons.append({"stem": "master", "code": "lossy_correction", "text": text})
    rendered = {"chain": list(chain)}
    return answer | {"effects": list(chain), "reasons": reasons, "rendered": rendered} | _told(task, planned, made)


def _fitted(
    task: Task, files: Mapping[str, Path], plain: Effects, progress: Progress, limits: Limits
) -> tuple[_Master, Effects]:
    """The master, and the chain that made it: where the encoder loses something, that which gives what was asked for behind it."""
    if task["format"] not in LOSSY:
        return _made(task, files, plain, progress, limits), plain
    fitting, chain = Fitting(task["aim_dbtp"]), plain
    while True:
        made = _made(task, files, chain, lambda part: progress(fitting.progress(part)), limits)
        only_peaks = task["preview"] is not None or plain[-1]["target_lufs"] is None or _is_short(made)
        if fitting.fits(made.heard.loudness, None if only_peaks else plain[-1]["target_lufs"]):
            return made, chain
        chain = corrected(plain, fitting.correction.lower_db, fitting.correction.louder_lu)


def _is_short(made: _Master) -> bool:
    return float(made.whole.applied[-1].get("shortfall_lu", 0.0)) > 0.0


def _told(task: Task, planned: Plan, made: _Master) -> dict[str, Any]:
    heard, normalized = made.heard, dict(made.whole.applied[-1])
    if planned.target_lufs is not None and task["format"] in LOSSY and task["preview"] is None:
        normalized["shortfall_lu"] = shortfall_lu(planned.target_lufs, heard.loudness)
    file = made_file(
        *(Path(task["target"]), task["name"], task["format"], task["bit_depth"]),
        *(heard.rate_hz, heard.channels, heard.frames),
    )
    length = max(1.0, heard.frames / heard.rate_hz)
    preview = {"preview": {"start_seconds": made.start_seconds, "duration_seconds": length}} if task["preview"] else {}
    return preview | {
        "files": [file],
        "loudness": readable(heard.loudness),
        "after": readable(heard.loudness),
        "applied": told([*made.whole.applied[:-1], normalized]),
        "gain_db": rounded(normalized["gain_db"]),
        "limiter_reduction_db": rounded(normalized.get("max_reduction_db", 0.0)),
        "shortfall_lu": rounded(normalized.get("shortfall_lu", 0.0)),
    }


def _listen(task: Task, files: Mapping[str, Path], progress: Progress, limits: Limits) -> tuple[Loudness, Plan]:
    """How loud the source is, and the plan for it, after its own chain."""
    scratch = Path(task["scratch"])
    source, reference_id, asked = files[task["asset_id"]], task["reference_asset_id"], tuple(task["chain"])
    passes = 1 + bool(asked) * 2 + bool(reference_id)
    done = 0

    def step(part: float) -> None:
        progress((done + part) / passes)

    with_spectrum = reference_id is not None
    ours = profile_of(source, step, with_spectrum=with_spectrum and not asked, limits=limits)
    before, done = ours.loudness, 1
    if asked:
        path = scratch.with_name(f"{scratch.name}.chain")
        try:
            render(Rendering(source, asked, Output("wav", 32, "none"), files), path, scratch, step, limits)
            done = 2
            ours = profile_of(path, step, with_spectrum=with_spectrum, limits=None)
        finally:
            path.unlink(missing_ok=True)
        done = 3
    theirs = profile_of(files[reference_id], step, with_spectrum=True, limits=limits) if reference_id else None
    bands = matching_bands(ours.thirds_db, theirs.thirds_db, task["match"], ours.rate_hz) if theirs else []
    aim = Aim(task["aim_lufs"], task["aim_dbtp"], task["match"], task["follows_reference"])
    return before, plan(_sound(ours), aim, _sound(theirs) if theirs else None, tuple(bands))


def _made(task: Task, files: Mapping[str, Path], chain: Effects, progress: Progress, limits: Limits) -> _Master:
    """The master by this chain, whole or in part."""
    source, target, scratch = files[task["asset_id"]], Path(task["target"]), Path(task["scratch"])
    output = Output(task["format"], task["bit_depth"], task["dither"], task["sample_rate_hz"], task["bitrate_kbps"])
    if task["preview"] is None:
        made = render(Rendering(source, chain, output, files), target, scratch, progress, limits)
        return _Master(made, made)
    room = scratch.with_name(f"{scratch.name}.whole")
    try:
        rate = output.rate_hz or rate_for(output.container, probe(source, limits).sample_rate_hz)
        exact = Rendering(source, chain, Output("wav", 32, "none", rate), files)
        whole = render(exact, room, scratch, lambda part: progress(0.9 * part), limits)
        excerpt = Excerpt(**task["preview"])
        start = part_of(room, excerpt).start_seconds
        cut = Rendering(room, (), output, {}, Excerpt(start, excerpt.duration_seconds))
        heard = render(cut, target, scratch, lambda part: progress(0.9 + 0.1 * part))
    finally:
        room.unlink(missing_ok=True)
    return _Master(whole, heard, start)


def _sound(profile: Profile) -> Sound:
    loudness = profile.loudness
    return Sound(
        loudness.integrated_lufs,
        loudness.max_short_term_lufs,
        loudness.true_peak_dbtp,
        profile.side_db,
        profile.channels,
    )
