"""Effects in the making completed, with the usual where nothing was said, and held to the contract."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.contracts.effects import Effect
from shub.language.clause import Clause
from shub.language.sound.choices import COMPRESSORS, HIGHPASSES_HZ, REVERBS, gain_of
from shub.language.sound.directions import amount_of, verb_sign
from shub.language.sound.draft import EQ, Draft, Sound
from shub.language.sound.drafting import SHAPED
from shub.language.sound.keys import SECONDS_PER, signed

_EFFECT: TypeAdapter[Any] = TypeAdapter(Effect)


def complete(draft: Draft, clause: Clause, target: str) -> None:
    """Choose what was not said."""
    values = draft.values
    match draft.type:
        case "eq_shelf":
            draft.type = (
                "eq_low_shelf"
                if values.get("freq_hz", 1_000.0 if draft.sign > 0 else 100.0) < 800.0
                else "eq_high_shelf"
            )
            values.setdefault("freq_hz", 8_000.0 if draft.type == "eq_high_shelf" else 100.0)
        case "mono":
            if "mono_below_hz" in values or clause.has("band", "low", "sub"):
                draft.type = "width"
                values.setdefault("mono_below_hz", 120.0)
            else:
                draft.type = "channels"
                values["to"] = "mono"
        case "filter":
            draft.type = "lowpass"
    if draft.type == "notch" and "gain_db" in values:
        draft.type = "eq_peak"
    if draft.type in EQ:
        values.setdefault("q", _shape(clause)) if draft.type == "eq_peak" and _shape(clause) else None
        values.setdefault("freq_hz", {"eq_low_shelf": 100.0, "eq_high_shelf": 8_000.0}.get(draft.type, 1_000.0))
        values.setdefault("gain_db", draft.sign * gain_of(amount_of(clause)))
    elif draft.type == "highpass":
        values.setdefault("freq_hz", HIGHPASSES_HZ.get(target, 80.0))
    elif draft.type == "lowpass":
        values.setdefault("freq_hz", 10_000.0)
    elif draft.type == "notch":
        values.setdefault("freq_hz", 50.0)
    elif draft.type == "compressor":
        _complete_compressor(draft, clause, target)
    elif draft.type == "reverb":
        chosen = {**REVERBS.get(target, {})}
        if values.get("kind", chosen.get("kind")) != chosen.get("kind"):
            chosen = {key: value for key, value in chosen.items() if key in ("wet", "lowcut_hz")}
        amount = amount_of(clause)
        if amount != 1 and "wet" not in draft.said:
            chosen["wet"] = round(chosen.get("wet", 0.2) * (0.6 if amount < 1 else 1.6), 3)
        draft.values = {**chosen, **values}
    elif draft.type == "delay" and amount_of(clause) != 1:
        values.setdefault("wet", 0.15 if amount_of(clause) < 1 else 0.4)
    elif draft.type == "saturation":
        values.setdefault("drive_db", 6.0 * {0.5: 0.5, 1.0: 1.0}.get(amount_of(clause), 1.6))
    elif draft.type == "deesser":
        values.setdefault("freq_hz", 8_000.0 if target == "hats" else 6_500.0)
    elif draft.type == "width":
        values.pop("is_to", None)
        values.setdefault("width", 1.3 if draft.sign > 0 and "mono_below_hz" not in values else 1.0)
    elif draft.type == "transient" and not {"attack_db", "sustain_db"} & set(values):
        values["attack_db"] = draft.sign * 4.0 * amount_of(clause)
    elif draft.type == "gate":
        values.setdefault(
            "threshold_db", {"snare": -35.0, "kick": -35.0, "drums": -40.0, "percussion": -40.0}.get(target, -50.0)
        )
    elif draft.type == "fade":
        _complete_fade(draft, clause)
    elif draft.type == "multiband":
        values["crossovers_hz"] = sorted(set(values.get("crossovers_hz") or (120.0, 2_000.0)))
        for key in [key for key in values if key.startswith("crossover_")]:
            del values[key]
        values["bands"] = [{} for _ in range(len(values["crossovers_hz"]) + 1)]


def _shape(clause: Clause) -> float | None:
    """The Q of a bell that was called narrow or wide."""
    if not clause.has("effect", *SHAPED):
        return None
    is_narrow = clause.has("word", "narrow") or clause.said("narrow")
    return 4.0 if is_narrow else 0.5 if clause.has("word", "wide") else None


def _complete_compressor(draft: Draft, clause: Clause, target: str) -> None:
    chosen = dict(COMPRESSORS.get(target, {}))
    amount = amount_of(clause)
    if amount != 1:
        chosen["ratio"] = 2.0 if amount < 1 else 6.0
    if "sidechain" in draft.values:
        key = draft.values["sidechain"] or clause.key
        if key:
            draft.values["sidechain"] = key
        else:
            del draft.values["sidechain"]
        chosen = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 3.0, "release_ms": 150.0}
    draft.values = {**chosen, **draft.values}


def _complete_fade(draft: Draft, clause: Clause) -> None:
    values = draft.values
    if not {"in_seconds", "out_seconds"} & set(values):
        text = " ".join(item.text for item in clause.items)
        is_in = " in" in f" {text}" or "entrada" in text or "principio" in text
        values["in_seconds" if is_in else "out_seconds"] = None
        seconds = [
            item.quantity for item in clause.numbers if item.quantity is not None and item.quantity.unit in SECONDS_PER
        ]
        if seconds:
            values["in_seconds" if is_in else "out_seconds"] = round(seconds[0].value * SECONDS_PER[seconds[0].unit], 6)
            draft.said.add("fade")
    for key in ("in_seconds", "out_seconds"):
        if key in values and values[key] is None:
            values[key] = 3.0


def in_mid_side(drafts: list[Draft], clause: Clause) -> list[Draft]:
    where = "side" if clause.has("effect", "sides") else "mid" if clause.has("effect", "middle") else ""
    inner = [draft for draft in drafts if draft.type in _INSERTS]
    if not where:
        return drafts
    if not inner:
        gains = [item.quantity for item in clause.numbers if item.quantity is not None and item.quantity.unit == "db"]
        sign = verb_sign(clause)
        if not gains and not clause.verbs:
            return drafts
        gain = signed(gains[0].value, gains[0].signed, sign) if gains else 2.0 * sign
        inner = [Draft("gain", 0, {"gain_db": gain})]
    effects = [{"type": draft.type, **_filled(draft.values)} for draft in inner]
    wrapper = Draft("mid_side", inner[0].at, {where: effects})
    return [wrapper, *(draft for draft in drafts if draft not in inner)]


_INSERTS = EQ | {
    "gain",
    "highpass",
    "lowpass",
    "notch",
    "compressor",
    "gate",
    "expander",
    "deesser",
    "multiband",
    "saturation",
    "transient",
}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def checked(draft: Draft, sound: Sound) -> dict[str, Any] | None:
    """The effect as the contract has it. What it cannot take goes to the params, and is told as unused."""
    if draft.type == "telephone":
        low, high = draft.values.get("low_hz", 300.0), draft.values.get("high_hz", draft.values.get("freq_hz", 3_400.0))
        sound.effects.append({"type": "highpass", "freq_hz": low, "slope_db_oct": 24})
        return {"type": "lowpass", "freq_hz": high, "slope_db_oct": 24}
    values = {"type": draft.type, **_filled(draft.values)}
    for _ in range(8):
        try:
            found: dict[str, Any] = _EFFECT.validate_python(values).model_dump(exclude_none=True)
        except ValidationError as refusal:
            wrong = {str(part) for error in refusal.errors() for part in error["loc"]} & (set(values) - {"type"})
            if not wrong:
                return None
            for key in wrong:
                sound.params[key] = values.pop(key)
                sound.unused.append(
                    f"{key} {sound.params[key]:g}" if isinstance(sound.params[key], int | float) else key
                )
        else:
            return found
    return None
