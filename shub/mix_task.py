"""A mix as the worker does it: the order read, what was asked to be found found, the sound made, the answer told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any

from shub.balance import Balance, HeardStem, propose
from shub.dsp.decode import Limits
from shub.dsp.excerpts import Excerpt
from shub.dsp.mixdown import Bus, Mix, MixOrder, Send, Stem, mix_down
from shub.dsp.provenance import versions
from shub.dsp.stem_hearing import StemSound, hear
from shub.task_answers import made_file, readable, rounded, told

Task = dict[str, Any]
_LISTENED = 0.2  # how far the work is when every stem was listened to


def run(task: Task, progress: Callable[[float], None], limits: Limits) -> dict[str, Any]:
    """The answer to a task `mix`: a mix, or with `dry_run` only what is proposed."""
    stems, reasons, begun = task["stems"], [], 0.0
    if any(task["auto"].values()) or task["dry_run"]:
        begun = 1.0 if task["dry_run"] else _LISTENED
        sounds = _hear(task, lambda part: progress(begun * part), limits)
        balance = _proposed(task, sounds)
        reasons = [vars(reason) for reason in (*_level_reasons(task), *balance.reasons)]
        stems = [
            stem | _said(stem, change.pan, change.effects) for stem, change in zip(stems, balance.changes, strict=True)
        ]
        if task["dry_run"]:
            return {"files": [], "versions": versions(), "reasons": reasons, "stems": _heard(stems, sounds)}
    order = _order(task, stems)
    target = Path(task["target"])
    mix = mix_down(order, target, Path(task["scratch"]), lambda part: progress(begun + (1.0 - begun) * part), limits)
    return _answer(task, stems, order, mix, target) | {"reasons": reasons}


def _hear(task: Task, progress: Callable[[float], None], limits: Limits) -> list[StemSound]:
    found = []
    with ThreadPoolExecutor() as threads:
        paths = [Path(task["files"][stem["asset_id"]]) for stem in task["stems"]]
        for sound in threads.map(lambda path, stem: hear(path, stem["name"], limits), paths, task["stems"]):
            found.append(sound)
            progress(len(found) / len(paths))
    return found


def _proposed(task: Task, sounds: list[StemSound]) -> Balance:
    heard = [
        HeardStem(
            name=stem["name"],
            role=stem["role"],
            level_lufs=stem["level_lufs"] + stem["gain_db"],
            integrated_lufs=sound.integrated_lufs,
            thirds_db=sound.thirds_db,
            centroid_hz=sound.centroid_hz,
            is_stereo=sound.is_stereo,
            is_placed=stem["is_placed"],
            has_low_cut=any(effect["type"] == "highpass" for effect in stem["chain"]),
            is_muted=stem["is_muted"],
        )
        for stem, sound in zip(task["stems"], sounds, strict=True)
    ]
    return propose(heard, pan=task["auto"]["pan"], masking=task["auto"]["masking"])


def _level_reasons(task: Task) -> list[Any]:
    from shub.balance import Reason

    return [
        Reason(
            stem["name"],
            "level",
            f"as {stem['role']} it stands at {stem['level_lufs']:g} LUFS before the sum is levelled",
        )
        for stem in task["stems"]
    ]


def _said(stem: Task, pan: float | None, effects: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """What a proposal changes of a stem."""
    return {"pan": stem["pan"] if pan is None else pan, "chain": [*effects, *stem["chain"]]}


def _heard(stems: list[Task], sounds: list[StemSound]) -> list[dict[str, Any]]:
    """Stems that were only listened to: the gain is the one that leads to their level, before what their chain will do."""
    found = []
    for stem, sound in zip(stems, sounds, strict=True):
        loudness = sound.integrated_lufs
        gain = stem["gain_db"] + (0.0 if loudness is None else stem["level_lufs"] - loudness)
        said = {"pan": stem["pan"], "chain": stem["chain"]}
        found.append({"integrated_lufs": rounded(loudness), "gain_db": rounded(gain), "said": said, **said})
    return found


def _order(task: Task, stems: list[Task]) -> MixOrder:
    return MixOrder(
        tuple(
            Stem(
                Path(task["files"][stem["asset_id"]]),
                stem["level_lufs"],
                stem["gain_db"],
                stem["pan"],
                stem["name"],
                tuple(stem["chain"]),
                stem["bus"],
                tuple(Send(**send) for send in stem["sends"]),
                stem["is_muted"],
            )
            for stem in stems
        ),
        task["target_lufs"],
        task["ceiling_dbtp"],
        task["format"],
        task["bit_depth"],
        task["sample_rate_hz"],
        dither=task["dither"],
        bitrate_kbps=task["bitrate_kbps"],
        buses=tuple(Bus(bus["name"], bus["gain_db"], tuple(bus["chain"])) for bus in task["buses"]),
        chain=tuple(task["chain"]),
        keys=task["keys"],
        turns=tuple(task["turns"]),
        excerpt=Excerpt(**task["preview"]) if task["preview"] else None,
        with_stems=task["stems_out"],
    )


def _answer(task: Task, stems: list[Task], order: MixOrder, mix: Mix, target: Path) -> dict[str, Any]:
    names = [stem["name"] for stem in stems] + [bus.name for bus in order.buses]
    whole = PurePath(task["name"]).stem
    files = [made_file(target, task["name"], order.container, order.bits, mix.rate_hz, 2, mix.frames)]
    files += [
        made_file(path, f"{PurePath(names[number]).stem} in {whole}.wav", "wav", 32, mix.rate_hz, 2, mix.frames)
        for number, path in mix.files.items()
    ]
    part = mix.part
    return {
        "files": files,
        "file_numbers": list(mix.files),
        "versions": versions(),
        "rendered": {"stems": [{"pan": stem["pan"], "chain": stem["chain"]} for stem in stems]},
        "loudness": readable(mix.loudness),
        "gain_db": rounded(mix.levelled.gain_db),
        "limiter_reduction_db": rounded(mix.levelled.max_reduction_db),
        "shortfall_lu": rounded(mix.levelled.shortfall_lu),
        "preview": None
        if part is None
        else {"start_seconds": part.start_seconds, "duration_seconds": max(1.0, part.frames / part.rate_hz)},
        "applied": told(mix.applied),
        "bus_applied": [told(applied) for applied in mix.bus_applied],
        "stems": [
            {
                "integrated_lufs": rounded(staged.integrated_lufs),
                "mixed_lufs": rounded(staged.mixed_lufs),
                "gain_db": rounded(staged.gain_db),
                "is_clamped": staged.is_clamped,
                "pan": stem["pan"],
                "chain": stem["chain"],
                "applied": told(staged.applied),
            }
            for stem, staged in zip(stems, mix.stems, strict=True)
        ],
    }
