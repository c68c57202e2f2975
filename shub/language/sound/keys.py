"""Which key of an effect a number is for: by its unit, and by the parameter that was named with it."""

from shub.language.clause import Clause
from shub.language.scanning import Item
from shub.language.sound.draft import EQ, Draft
from shub.language.sound.frequencies import hertz_of, is_hertz

SECONDS_PER = {"ms": 0.001, "s": 1.0, "min": 60.0}


def key_of(draft: Draft, label: str, item: Item, clause: Clause) -> tuple[str, float] | None:
    """Which key of the effect a number is for, and its value there; None where the effect has no use for it."""
    quantity = item.quantity
    assert quantity is not None
    value, unit, kind = quantity.value, quantity.unit, draft.type
    hertz = hertz_of(item)
    if hertz is None and unit == "" and is_hertz(item, clause) and label in ("", "freq"):
        hertz = value
    if label == "crossover" and unit == "":
        hertz = value * (1000.0 if abs(value) < 20 else 1.0)
    if hertz is not None:
        return _hertz_key(draft, label, hertz, item, clause)
    if label == "q" and unit == "" and (kind in EQ or kind in ("notch", "eq_shelf")):
        return "q", abs(value)
    if unit == "db/oct" and kind in ("highpass", "lowpass", "filter"):
        return "slope_db_oct", abs(value)
    if kind in ("highpass", "lowpass") and label == "slope":
        return "slope_db_oct", abs(value)
    if unit == "" and kind == "deesser" and 3 <= value <= 16 and label in ("", "freq"):
        return "freq_hz", value * 1000.0
    if kind in EQ or kind == "eq_shelf":
        return (
            ("gain_db", signed(value, quantity.signed, draft.sign))
            if unit in ("db", "") and label in ("", "max", "reduction")
            else None
        )
    if kind == "notch" and unit == "db":
        return "gain_db", -abs(value)
    if kind == "dither":
        return ("bit_depth", int(value)) if unit in ("bit", "") else None
    if kind == "limiter" and quantity.signed and value > 0 and (unit == "dbtp" or label == "ceiling"):
        return "ceiling_dbtp", value
    handler = _KEYS.get(kind)
    return handler(draft, label, value, unit) if handler else None


def signed(value: float, signed: bool, sign: int) -> float:
    if signed and value < 0:
        return value
    return -abs(value) if sign < 0 else abs(value)


def _hertz_key(draft: Draft, label: str, hertz: float, item: Item, clause: Clause) -> tuple[str, float] | None:
    kind = draft.type
    if kind in EQ or kind in ("highpass", "lowpass", "notch", "filter", "eq_shelf", "deesser"):
        return "freq_hz", hertz
    if kind == "resample":
        return "sample_rate_hz", int(hertz)
    if kind == "reverb":
        near = {one["place"] for one in clause.items if "place" in one.tags and 0 <= item.at - one.until <= 2}
        return ("damping_hz" if "above" in near or hertz >= 2_000.0 else "lowcut_hz"), hertz
    if kind == "delay":
        return ("lowpass_hz" if hertz >= 1_500.0 else "highpass_hz"), hertz
    if kind in ("width", "mono"):
        return "mono_below_hz", hertz
    if kind == "compressor":
        return (
            ("sidechain_highpass_hz", hertz)
            if draft.values.get("sidechain") is not None or clause.has("effect", "sidechain", "highpass")
            else None
        )
    if kind == "multiband":
        crossovers = draft.values.setdefault("crossovers_hz", [])
        if hertz not in crossovers:
            crossovers.append(hertz)
        return f"crossover_{len(crossovers)}", hertz
    return None


def _ms(value: float, unit: str) -> float:
    return round(value * {"s": 1000.0, "min": 60_000.0}.get(unit, 1.0), 6)


def _share(value: float, unit: str) -> float:
    return round(value / 100.0, 6) if unit == "%" or abs(value) > 1 else value


def _compressor_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    times = {"attack": "attack_ms", "release": "release_ms", "lookahead": "lookahead_ms"}
    if unit == ":1" or (label == "ratio" and unit in ("", "x")):
        return "ratio", value
    if label in times and unit in ("ms", "s", ""):
        return times[label], _ms(value, unit)
    if unit in ("ms", "s"):
        return ("release_ms" if "attack_ms" in draft.said else "attack_ms"), _ms(value, unit)
    if label == "makeup":
        return "makeup_db", value
    if label == "knee":
        return "knee_db", value
    if label == "reduction":
        return None
    if unit == "%" or label in ("mix_share", "wet"):
        return "mix", _share(value, unit)
    if label == "threshold" or (unit == "db" and value < 0):
        return "threshold_db", -abs(value)
    if unit == "" and label == "" and value < 0:
        return "threshold_db", value
    if unit == "" and label == "" and 1 < value <= 100 and "ratio" not in draft.said:
        return "ratio", value
    return None


def _gate_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    times = {"attack": "attack_ms", "release": "release_ms", "hold": "hold_ms", "lookahead": "lookahead_ms"}
    if label in times and unit in ("ms", "s", "") and not (draft.type == "expander" and label in ("hold", "lookahead")):
        return times[label], _ms(value, unit)
    if label == "hysteresis" and draft.type == "gate":
        return "hysteresis_db", abs(value)
    if (unit == ":1" or label == "ratio") and draft.type == "expander":
        return "ratio", value
    if label == "reduction" and unit in ("db", ""):
        return "range_db", abs(value)
    if unit == "db" or label == "threshold" or (unit == "" and value < 0):
        return "threshold_db", -abs(value)
    if unit in ("ms", "s"):
        return ("release_ms" if "attack_ms" in draft.said else "attack_ms"), _ms(value, unit)
    return None


def _deesser_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "threshold":
        return "threshold_db", -abs(value)
    if label in ("attack", "release"):
        return f"{label}_ms", _ms(value, unit)
    if unit == "db" or label in ("reduction", "max"):
        return "max_reduction_db", abs(value)
    return None


def _limiter_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label in ("release", "lookahead"):
        return f"{label}_ms", _ms(value, unit)
    if label == "drive" and unit in ("db", ""):
        return "drive_db", value
    if unit == "dbtp" or label in ("ceiling", "max", "threshold"):
        return ("ceiling_dbtp", -abs(value)) if unit in ("dbtp", "db", "") else None
    if unit in ("db", "") and value <= 0:
        return "ceiling_dbtp", value
    if unit == "db":
        return "drive_db", value
    if unit in ("ms", "s"):
        return "release_ms", _ms(value, unit)
    return None


def _saturation_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit == "db" or (label == "drive" and unit == ""):
        return "drive_db", abs(value)
    if unit == "%" or label in ("mix_share", "wet"):
        return "mix", _share(value, unit)
    return None


def _transient_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit not in ("db", ""):
        return None
    key = "sustain_db" if label == "sustain" else "attack_db"
    if label == "" and "sustain_db" in draft.values and "attack_db" not in draft.values:
        key = "sustain_db"
    return key, signed(value, value < 0, draft.sign)


def _delay_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "feedback":
        return ("feedback", _share(value, unit)) if unit in ("%", "") else None
    if unit in ("ms", "s"):
        return "time_ms", _ms(value, unit)
    if unit == "%" or label in ("wet", "mix_share"):
        return "wet", _share(value, unit)
    return ("time_ms", value) if unit == "" and value >= 20 else None


def _reverb_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "predelay":
        return ("predelay_ms", _ms(value, unit)) if unit in ("ms", "s", "") else None
    if unit == "s" or (unit == "" and label == "decay"):
        return "decay_s", value
    if unit == "ms":
        return (
            ("predelay_ms", value)
            if label != "decay" and ("decay_s" in draft.said or value <= 120)
            else ("decay_s", value / 1000.0)
        )
    if unit == "%" or label in ("wet", "mix_share"):
        return "wet", _share(value, unit)
    if unit == "" and 0 < value <= 100 and (value < 1 or value >= 5):
        return "wet", _share(value, unit)
    return None


def _width_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit == "%":
        share = value / 100.0
        if draft.sign < 0 and share < 1 and draft.type == "width" and "lower" in draft.said:
            return "width", 1 - share
        return "width", round(
            share
            if share >= 1 or draft.values.get("is_to")
            else (1 + share if draft.sign > 0 and share < 0.6 else share),
            6,
        )
    return ("width", value) if unit in ("", "x") and 0 <= value <= 2 else None


def _fade_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit not in SECONDS_PER and unit != "":
        return None
    for key in list(draft.values):  # as they were said
        if key in ("in_seconds", "out_seconds") and key not in draft.said:
            return key, round(value * SECONDS_PER.get(unit, 1.0), 6)
    return None


def _resample_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    return ("sample_rate_hz", round(value * 1000 if value < 1000 else value)) if unit == "" else None


_KEYS = {
    "resample": _resample_key,
    "compressor": _compressor_key, "gate": _gate_key, "expander": _gate_key, "deesser": _deesser_key, "limiter": _limiter_key,
    "saturation": _saturation_key, "transient": _transient_key, "delay": _delay_key, "reverb": _reverb_key, "width": _width_key,
    "fade": _fade_key,
}  # fmt: skip
