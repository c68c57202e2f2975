"""What madre says about work on sound, in Spanish and English."""

from typing import Any

from madre.core.models import StepV2

SAYINGS: dict[str, tuple[str, str]] = {
    "which_stems": (
        "¿Qué archivos mezclo? Súbelos con POST /shub/assets y envía sus asset_id en `files`.",
        "Which files shall I mix? Upload them with POST /shub/assets and send their asset_ids in `files`.",
    ),
    "which_file": (
        "¿Con qué archivo? Súbelo con POST /shub/assets y envía su asset_id en `files`.",
        "With which file? Upload it with POST /shub/assets and send its asset_id in `files`.",
    ),
    "which_reference": (
        "¿A qué debe sonar? Sube la referencia con POST /shub/assets y envía su asset_id en `files`.",
        "What shall it sound like? Upload the reference with POST /shub/assets and send its asset_id in `files`.",
    ),
    "which_effect": ("¿Qué le hago exactamente?", "What exactly shall I do to it?"),
    "which_track": ("¿A cuál? Están: {tracks}.", "To which one? There are: {tracks}."),
    "no_such_track": (
        "No encuentro «{name}» entre lo que hay: {tracks}. ¿A cuál te refieres?",
        'I find no "{name}" among what is there: {tracks}. Which one do you mean?',
    ),
    "nothing_changed": (
        "Con eso no cambia nada de lo que hay. ¿Qué hago?",
        "That changes nothing of what there is. What shall I do?",
    ),
    "not_there": (
        "Ahí no hay nada de eso que quitar ({effects}). ¿Qué hago entonces?",
        "There is none of that to take away ({effects}). What shall I do instead?",
    ),
    "mix_first": (
        "Eso afecta a varias pistas ({tracks}), y todavía no hay mezcla. ¿Las mezclo primero? Di «mezcla».",
        'That is about several tracks ({tracks}), and there is no mix yet. Shall I mix them first? Say "mix".',
    ),
    "say_more": ("No me queda claro. ¿Qué hago, y con qué?", "That is not clear to me. What shall I do, and to what?"),
    "undone": (
        "Hecho: he vuelto {steps} {times} atrás. Lo que suena ahora: {what}.",
        "Done: I went {steps} {times} back. What is heard now: {what}.",
    ),
    "undone_first": ("He vuelto {steps} {times} atrás.", "I went {steps} {times} back."),
    "nothing_to_undo": (
        "No hay nada que deshacer en esta sesión.",
        "There is nothing to undo in this session.",
    ),
    "in_the_making": ("lo que todavía se está haciendo", "what is still being made"),
    "delete_alone": (
        "Borrar archivos va aparte de todo lo demás: pídelo en un mensaje propio. No he hecho nada.",
        "Files are deleted apart from everything else: ask for it in a message of its own. Nothing was done.",
    ),
    "too_many_effects": (
        "Ahí ya hay {most} efectos, y no caben más. Quita alguno («quita la ecualización») o deshaz. ¿Qué hago?",
        'There are {most} effects already, and no more fit. Take some away ("remove the equalizer") or undo. What shall I do?',
    ),
    "nothing_made": ("los archivos como llegaron", "the files as they came"),
}


def say(key: str, language: str, **values: Any) -> str:
    es, en = SAYINGS[key]
    return (es if language == "es" else en).format(**values)


def report(language: str, actions: list[dict[str, Any]], steps: list[StepV2]) -> str:
    """What was done: the changes that a command asked for, then a line for each finished step that a person cares about."""
    lines = [told for action in actions if (told := done_to(language, action))]
    for step in steps:
        if step.result and (teller := _TELLERS.get(step.operation)):
            name = step.params.get("name")
            lines.append(f"{name}: {teller(language, step.result)}" if name else teller(language, step.result))
    return "\n".join(lines)


EFFECTS: dict[str, tuple[str, str]] = {
    "gain": ("nivel", "level"),
    "eq_peak": ("ecualización", "equalizer"),
    "eq_low_shelf": ("graves", "low shelf"),
    "eq_high_shelf": ("agudos", "high shelf"),
    "highpass": ("paso alto", "high-pass"),
    "lowpass": ("paso bajo", "low-pass"),
    "notch": ("filtro de muesca", "notch"),
    "compressor": ("compresor", "compressor"),
    "gate": ("puerta de ruido", "gate"),
    "expander": ("expansor", "expander"),
    "deesser": ("de-esser", "de-esser"),
    "multiband": ("compresor multibanda", "multiband compressor"),
    "saturation": ("saturación", "saturation"),
    "transient": ("transitorios", "transients"),
    "delay": ("eco", "delay"),
    "reverb": ("reverb", "reverb"),
    "pan": ("panorama", "pan"),
    "width": ("anchura", "width"),
    "channels": ("canales", "channels"),
    "mid_side": ("centro y lados", "mid and side"),
    "limiter": ("limitador", "limiter"),
    "normalize": ("normalización", "normalization"),
    "fade": ("fundido", "fade"),
    "trim": ("recorte", "trim"),
    "resample": ("frecuencia de muestreo", "sample rate"),
    "dither": ("dither", "dither"),
}
_UNITS = {
    "gain_db": "{:+g} dB", "freq_hz": "{:g} Hz", "ratio": "{:g}:1", "threshold_db": "{:g} dB", "drive_db": "{:g} dB",
    "attack_db": "{:+g} dB", "sustain_db": "{:+g} dB", "max_reduction_db": "{:g} dB", "time_ms": "{:g} ms", "decay_s": "{:g} s",
    "pan": "{:+g}", "width": "{:g}", "ceiling_dbtp": "{:g} dBTP", "target_lufs": "{:g} LUFS", "sample_rate_hz": "{:g} Hz",
}  # fmt: skip
"""What of an effect is told, and how; `pan` is from -1 (left) to 1 (right)."""


def done_to(language: str, action: dict[str, Any]) -> str | None:
    """What an action did to whom, in a line; None for what tells of itself (a mix, a master, an export)."""
    told = [_effect(language, effect) for effect in action["effects"]]
    params = action["params"]
    told += [
        _effect(language, {"type": {"gain_db": "gain"}.get(name, name), name: params[name]})
        for name in ("gain_db", "pan")
        if name in params
    ]
    if (muted := params.get("is_muted")) is not None:
        silent, heard = ("silencio", "suena otra vez") if language == "es" else ("muted", "heard again")
        told.append(silent if muted else heard)
    if params.get("solo"):
        told.append("solo")
    if removed := params.get("remove"):
        without = "sin" if language == "es" else "without"
        told.append(f"{without} {', '.join(removed if isinstance(removed, list) else [removed])}")
    if not told or action["action"] not in ("apply_effects", "set_mix", "normalize"):
        return None
    return f"{', '.join(action['targets']) or '*'}: {'; '.join(told)}"


def _effect(language: str, effect: dict[str, Any]) -> str:
    es, en = EFFECTS.get(effect["type"], (effect["type"],) * 2)
    values = [form.format(effect[key]) for key, form in _UNITS.items() if isinstance(effect.get(key), int | float)]
    return " ".join([es if language == "es" else en, ", ".join(values)]).strip()


def undone(language: str, result: dict[str, Any]) -> str:
    if not result["steps"]:
        return say("nothing_to_undo", language)
    is_one = result["steps"] == 1
    times = ("paso" if is_one else "pasos") if language == "es" else ("step" if is_one else "steps")
    kept = "in_the_making" if result.get("is_in_the_making") else "nothing_made"
    what = f"GET /shub/assets/{result['asset_id']}/content" if result.get("asset_id") else say(kept, language)
    return say(
        "undone_first" if result.get("is_followed") else "undone",
        language,
        steps=result["steps"],
        times=times,
        what=what,
    )


def _made(es: str, en: str) -> Any:
    def tell(language: str, made: dict[str, Any]) -> str:
        lufs, peak, asset = number(made.get("integrated_lufs")), number(made.get("true_peak_dbtp")), made["asset_id"]
        what = es if language == "es" else en
        told = _where(language, f"{what}: {lufs} LUFS, {_peak(language, peak)}.", asset)
        stems = [
            f"- {stem['name']}: GET /shub/assets/{stem['stem_asset_id']}/content"
            for stem in made.get("stems", ())
            if stem.get("stem_asset_id")
        ]
        return "\n".join([told, *stems, *_warnings(language, made)])

    return tell


def _mastered(language: str, made: dict[str, Any]) -> str:
    after = made.get("after", {})
    lufs, peak = number(after.get("integrated_lufs")), number(after.get("true_peak_dbtp"))
    what = "Máster listo" if language == "es" else "The master is ready"
    told = _where(language, f"{what}: {lufs} LUFS, {_peak(language, peak)}.", made["asset_id"])
    return "\n".join([told, *_warnings(language, made)])


def _analyzed(language: str, found: dict[str, Any]) -> str:
    lufs, lra, peak = (number(found.get(key)) for key in ("integrated_lufs", "loudness_range_lu", "true_peak_dbtp"))
    seconds, rate, channels = found.get("duration_seconds", 0), found.get("sample_rate_hz"), found.get("channels")
    if language == "es":
        head = f"{lufs} LUFS integrados, rango {lra} LU, pico real {peak} dBTP; {seconds:.1f} s, {rate} Hz, {channels} canales."
    else:
        head = f"{lufs} LUFS integrated, range {lra} LU, true peak {peak} dBTP; {seconds:.1f} s, {rate} Hz, {channels} channels."
    text = "text_es" if language == "es" else "text"
    notable = [f"- {one[text]}" for one in found.get("verdicts", ()) if one.get("verdict") != "good"]
    shown = [f"GET {path}" for path in found.get("pictures", {}).values()]
    if shown:
        notable.append(("- Imágenes: " if language == "es" else "- Pictures: ") + ", ".join(shown))
    return "\n".join([head, *notable])


def _warnings(language: str, made: dict[str, Any]) -> list[str]:
    of = "text_es" if language == "es" else "text"
    return [f"- {one.get(of) or one['text']}" for one in made.get("warnings", ())]


def _undone(language: str, result: dict[str, Any]) -> str:
    return undone(language, result)


def _peak(language: str, peak: str) -> str:
    return f"pico real {peak} dBTP" if language == "es" else f"true peak {peak} dBTP"


def _where(language: str, text: str, asset_id: str) -> str:
    verb = "Descárgalo en" if language == "es" else "Download it at"
    return f"{text} {verb} GET /shub/assets/{asset_id}/content."


def number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "–"


_TELLERS = {
    "shub:mix": _made("Mezcla lista", "The mix is ready"),
    "shub:chain": _made("Hecho", "Done"),
    "shub:master": _mastered,
    "shub:analyze": _analyzed,
    "madre:undo": _undone,
}
