"""Verdicts of shub: where stems stand, what files are called, what a result must warn of. No I/O."""

import re
import unicodedata
from pathlib import PurePath
from typing import Any

from config.clients.shub import MislabelledAudio
from config.contracts.shub import AudioWarning, StemRole
from shub.dsp import sniff
from shub.dsp.refusals import Mislabelled

ROLE_LOUDNESS_LUFS: dict[StemRole, float] = {
    StemRole.VOCAL: -20.0,
    StemRole.LEAD: -21.0,
    StemRole.DRUMS: -21.0,
    StemRole.KICK: -23.0,
    StemRole.SNARE: -24.0,
    StemRole.BASS: -23.0,
    StemRole.OTHER: -23.0,
    StemRole.GUITAR: -24.0,
    StemRole.PIANO: -24.0,
    StemRole.BRASS: -24.0,
    StemRole.KEYS: -25.0,
    StemRole.BACKING_VOCAL: -26.0,
    StemRole.STRINGS: -26.0,
    StemRole.PERCUSSION: -27.0,
    StemRole.PAD: -28.0,
    StemRole.FX: -29.0,
    StemRole.HATS: -30.0,
}
"""Integrated loudness of each stem before the sum is levelled. Only the differences matter: the voice in front, the rhythm section
within 3 LU of it, what colours the sound 4 to 10 LU behind. A starting balance of our own; `gain_db` moves a stem from there."""

LONGEST_NAME = 200
HEAVY_LIMITING_DB = 6.0
_READ_ALIKE_DB = 0.01
_LIMITS = ("limiter", "normalize")


def about(name: str, warning: AudioWarning) -> AudioWarning:
    """The warning, with what it is about in front."""
    spanish = None if warning.text_es is None else f"{name}: {warning.text_es}"
    return warning.model_copy(update={"text": f"{name}: {warning.text}", "text_es": spanish})


def preview_warning(part: dict[str, float], *, of: str, of_es: str) -> AudioWarning:
    """What was written is only a part of what was asked for; `of` says of what, in both languages."""
    start, length = part["start_seconds"], part["duration_seconds"]
    return AudioWarning(
        code="preview",
        text=f"only {length:g} s from {start:.1f} s on, as they sound in the whole {of}; loudness and peaks are of this part",
        text_es=f"solo {length:g} s desde el segundo {start:.1f}, tal como suenan en {of_es}; el volumen y los picos son de esta parte",
    )


def shortfall(missing_lu: float, target_lufs: float | None = None) -> AudioWarning:
    target, target_es = ("its target", "su objetivo") if target_lufs is None else (f"{target_lufs:g} LUFS",) * 2
    return AudioWarning(
        code="loudness_shortfall",
        text=f"it is {missing_lu:.1f} LU below {target}: its peaks may not exceed the ceiling",
        text_es=f"queda {missing_lu:.1f} LU por debajo de {target_es}: sus picos no pueden pasar del techo",
    )


def heavy_limiting(reduction_db: float) -> AudioWarning:
    return AudioWarning(
        code="heavy_limiting",
        text=f"the limiter takes up to {reduction_db:.1f} dB: less gain before it would sound more open",
        text_es=f"el limitador quita hasta {reduction_db:.1f} dB: con menos ganancia antes sonaría más abierto",
    )


def clean_name(name: str, *, fallback: str) -> str:
    """A file's name as it is kept and shown: no folders, no control characters, at most 200 characters, its ending kept."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(
        letter for letter in last if letter.isprintable() and not unicodedata.category(letter).startswith("C")
    )
    visible = visible.strip().strip(".") or fallback
    if len(visible) > LONGEST_NAME:
        suffix = PurePath(visible).suffix[:10]
        visible = visible[: LONGEST_NAME - len(suffix)] + suffix
    return visible


def refuse_false_name(name: str, container: sniff.Container) -> None:
    """Raises MislabelledAudio when the name ends like another format than its content has."""
    try:
        sniff.refuse_false_name(name, container)
    except Mislabelled as refusal:
        raise MislabelledAudio(refusal.detail) from refusal


def file_name(asked: str | None, usual: str, format_: str) -> str:
    """What a made file is called: as asked, else as usual, with the ending that its format has."""
    stem = clean_name(asked or usual, fallback=usual)
    ending = f".{format_}"
    return stem if stem.lower().endswith(ending) else stem + ending


def renamed(source: str, by: str) -> str:
    """What is made of a file is called after it: `voice.wav` through `vocal` is `voice vocal`."""
    stem = PurePath(source).stem
    return stem if by == "chain" else f"{stem} {by}"


def outcome_warnings(made: dict[str, Any], ceiling_dbtp: float | None) -> list[AudioWarning]:
    """What a person should know of what effects did: `made` is the worker's answer, with the `applied` of every effect. `ceiling_dbtp`
    is what its peaks should have stayed under (None: nothing)."""
    found: list[AudioWarning] = []
    for did in made["applied"]:
        if (missing := did.get("shortfall_lu", 0.0)) > 0.0:
            found.append(shortfall(missing))
        if did["type"] in _LIMITS and (reduction := did.get("max_reduction_db", 0.0)) > HEAVY_LIMITING_DB:
            found.append(heavy_limiting(reduction))
    if (clipped := made.get("clipped_db", 0.0)) > 0.0:
        found.append(
            AudioWarning(
                code="clipped",
                text=f"the peaks were {clipped:.1f} dB above full scale and were cut off: lower the gain or put a limiter last",
                text_es=f"los picos pasaban {clipped:.1f} dB del máximo y se recortaron: baja la ganancia o pon un limitador al final",
            )
        )
    found += above_ceiling(ceiling_dbtp, made["loudness"]["true_peak_dbtp"])
    if made["loudness"]["integrated_lufs"] is None:
        found.append(
            AudioWarning(
                code="silent",
                text="what came out is silent or too short to be measured",
                text_es="lo que salió es silencio o demasiado corto para medirlo",
            )
        )
    return found


def above_ceiling(ceiling_dbtp: float | None, true_peak_dbtp: float | None) -> list[AudioWarning]:
    """Where the peaks of a file stand above what was to hold them."""
    if true_peak_dbtp is None or ceiling_dbtp is None or true_peak_dbtp <= ceiling_dbtp + _READ_ALIKE_DB:
        return []
    return [
        AudioWarning(
            code="peak_above_ceiling",
            text=f"its true peak is {true_peak_dbtp:.1f} dBTP, above {ceiling_dbtp:g}: a ceiling lower by that much would hold it",
            text_es=f"su pico real es de {true_peak_dbtp:.1f} dBTP, por encima de {ceiling_dbtp:g}: cabría con un techo más bajo",
        )
    ]
