"""A master as the worker does it: listen, plan, apply the plan as any chain is applied, tell."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shub.dsp.decode import Limits, probe
from shub.dsp.encode import rate_for
from shub.dsp.excerpts import Excerpt, part_of
from shub.dsp.lossy import LOSSY, MOST_ENCODINGS, Correction
from shub.dsp.matching import matching_bands
from shub.dsp.meter import Loudness
from shub.dsp.profiling import Profile, profile_of
from shub.dsp.provenance import versions
from shub.dsp.rendering import Output, Rendered, Rendering, render
from shub.master_plan import Aim, Plan, Sound, corrected, plan
from shub.task_answers import made_file, readable, told

Task = dict[str, Any]
Progress = Callable[[float], None]
Effects = tuple[Mapping[str, Any], ...]
_LISTENED = 0.3  # how far the work is when it begins to render


def run(task: Task, progress: Progress, limits: Limits) -> dict[str, Any]:
    """The answer to a task `master`: a file and what was applied, or with `dry_run` only the chain."""
    files = {asset_id: Path(path) for asset_id, path in task["files"].items()}
    source, scratch, asked = files[task["asset_id"]], Path(task["scratch"]), tuple(task["chain"])
    share = 1.0 if task["dry_run"] else _LISTENED
    before, planned = _listen(task, files, scratch, lambda part: progress(share * part), limits)
    chain = (*asked, *planned.effects)
    reasons = [{"stem": "master", "code": code, "text": text} for code, text in planned.reasons]
    answer: dict[str, Any] = {"versions": versions(), "target_lufs": planned.target_lufs, "before": readable(before)}
    if task["dry_run"]:
        return answer | {"files": [], "effects": list(chain), "reasons": reasons}
    output = Output(task["format"], task["bit_depth"], task["dither"], task["sample_rate_hz"], task["bitrate_kbps"])
    target = Path(task["target"])

    def rendered(effects: Effects) -> Rendered:
        order = Rendering(source, effects, output, files)
        return render(order, target, scratch, lambda part: progress(share + (1.0 - share) * part), limits)

    if task["preview"] is not None:
        excerpt = Excerpt(**task["preview"])
        order = Rendering(source, chain, output, files)
        made, heard, start = _excerpt_of(
            order, excerpt, target, scratch, lambda part: progress(share + (1.0 - share) * part), limits
        )
        length = max(1.0, heard.frames / heard.rate_hz)
        answer["preview"] = {"start_seconds": start, "duration_seconds": length}
    else:
        made = heard = rendered(chain)
        aim, plain = Correction(), chain
        for _ in range(MOST_ENCODINGS - 1):
            if task["format"] not in LOSSY:
                break
            is_short = made.applied[-1].get("shortfall_lu", 0.0) > 0.0
            target_lufs = None if is_short else planned.target_lufs
            better = aim.after(made.loudness, ceiling_dbtp=task["aim_dbtp"], target_lufs=target_lufs)
            if better == aim:
                break
            aim, chain = better, corrected(plain, better.lower_db, better.louder_lu)
            made = heard = rendered(chain)
        if chain != plain:
            text = f"{task['format']} moves peaks and takes highs: it is given what comes out of it as it was asked for"
            reasons.append({"stem": "master", "code": "lossy_correction", "text": text})
    normalized = made.applied[-1]
    return answer | {
        "files": [
            made_file(target, task["name"], output.container, output.bits, heard.rate_hz, heard.channels, heard.frames)
        ],
        "effects": list(chain),
        "reasons": reasons,
        "loudness": readable(heard.loudness),
        "after": readable(heard.loudness),
        "applied": told(made.applied),
        "gain_db": round(normalized["gain_db"], 3),
        "limiter_reduction_db": round(normalized.get("max_reduction_db", 0.0), 3),
        "shortfall_lu": round(normalized.get("shortfall_lu", 0.0), 3),
    }


def _listen(
    task: Task, files: Mapping[str, Path], scratch: Path, progress: Progress, limits: Limits
) -> tuple[Loudness, Plan]:
    """How loud the source is, and the plan for it, after its own chain."""
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


def _excerpt_of(
    order: Rendering, excerpt: Excerpt, target: Path, scratch: Path, progress: Progress, limits: Limits
) -> tuple[Rendered, Rendered, float]:
    """A part of the finished whole: what was made, what of it was written, and from where."""
    whole, output = scratch.with_name(f"{scratch.name}.whole"), order.output
    try:
        rate = output.rate_hz or rate_for(output.container, probe(order.source, limits).sample_rate_hz)
        exact = Rendering(order.source, order.effects, Output("wav", 32, "none", rate), order.keys)
        made = render(exact, whole, scratch, lambda part: progress(0.9 * part), limits)
        start = part_of(whole, excerpt).start_seconds
        fixed = Excerpt(start, excerpt.duration_seconds)
        heard = render(
            Rendering(whole, (), output, {}, fixed), target, scratch, lambda part: progress(0.9 + 0.1 * part)
        )
    finally:
        whole.unlink(missing_ok=True)
    return made, heard, start


def _sound(profile: Profile) -> Sound:
    loudness = profile.loudness
    return Sound(
        loudness.integrated_lufs,
        loudness.max_short_term_lufs,
        loudness.true_peak_dbtp,
        profile.side_db,
        profile.channels,
    )
