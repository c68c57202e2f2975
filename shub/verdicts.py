"""Measures in words, in English and Spanish: what is as it should be for a target, and what is not. Pure."""

from collections.abc import Iterator
from typing import Literal

from config.contracts.shub_analysis import (
    AudioAnalysis,
    Clipping,
    MusicalKey,
    Silences,
    Stereo,
    Tempo,
    TonalBalance,
    Verdict,
)
from shub.targets import TARGETS, PlatformTarget

Mark = Literal["good", "notice", "problem"]

LIVELY_LU, FLAT_LU = 18.0, 3.0
"""Loudness range. EBU R 128 s1 and s2 set no limit; above 18 LU soft passages drown in a living room, below 3 LU nothing moves."""
SQUASHED_PLR_LU = 8.0
"""Peak to loudness of masters that are limited so hard that it is heard."""
OFFSET = 0.001
"""-60 dBFS of direct current: it costs headroom and clicks at edits."""
NOISY_DBFS, QUIET_ENOUGH_DBFS = -50.0, -60.0
"""Of recordings with pauses. -60 dBFS is what ACX asks of audiobooks."""
ALWAYS_SOUNDING_DB = 20.0
"""Between the mean and the noise floor: with less, there are no pauses."""
UNUSUAL_DB, FAR_DB, MISSING_DB = 4.0, 8.0, 20.0
"""How far a region may stand from the usual balance: good masters spread by some 3 to 4 dB."""
LONG_SILENCE_SECONDS = 2.0
NARROW, WIDE = 0.02, 0.5
OFF_CENTRE_DB = 1.5
HEARD_LOSS_DB, GREAT_LOSS_DB = 3.5, 6.0
"""A fold to mono takes 3 dB of two unrelated channels; what is beyond is cancelled."""
LOW_END_TOGETHER = 0.5
MOST_REGIONS = 3
"""Told of the balance; more is no help."""

_REGIONS = {
    "low_db": ("lows (below 140 Hz)", "los graves (por debajo de 140 Hz)"),
    "low_mid_db": ("low mids (140 to 560 Hz)", "los medios graves (140 a 560 Hz)"),
    "mid_db": ("mids (560 Hz to 2.2 kHz)", "los medios (560 Hz a 2,2 kHz)"),
    "high_mid_db": ("high mids (2.2 to 5.6 kHz)", "los medios agudos (2,2 a 5,6 kHz)"),
    "high_db": ("highs (above 5.6 kHz)", "los agudos (por encima de 5,6 kHz)"),
}
_NOTES_ES = {"C": "do", "D": "re", "E": "mi", "F": "fa", "G": "sol", "A": "la", "B": "si"}


def verdicts_of(found: AudioAnalysis) -> list[Verdict]:
    """What there is to say of each measure that was taken, against the target of the analysis."""
    target = TARGETS[found.target]
    said = [*_loudness(found, target), *_peaks(found, target), *_range(found)]
    if found.clipping is not None:
        said += _clipping(found.clipping)
    said += [*_dynamics(found, target), *_offset(found), *_noise(found)]
    if found.silences is not None:
        said += _silences(found.silences, found.duration_seconds)
    if found.tonal_balance is not None:
        said += _balance(found.tonal_balance)
    if found.stereo is not None:
        said += _stereo(found.stereo)
    if found.tempo is not None:
        said += _tempo(found.tempo)
    if found.key is not None:
        said += _key(found.key)
    return said


def _loudness(found: AudioAnalysis, target: PlatformTarget) -> Iterator[Verdict]:
    lufs = found.integrated_lufs
    if lufs is None:
        yield _say(
            "integrated_lufs",
            "problem",
            "There is nothing to hear: it is silent, or shorter than 0.4 s.",
            "No se oye nada: es silencio, o dura menos de 0,4 s.",
            unit="LUFS",
        )
        return
    name, wanted = target.name, target.target_lufs
    if wanted is None:
        text = f"{_en(lufs)} LUFS; {name} asks for no loudness."
        yield _say("integrated_lufs", "good", text, f"{_es(lufs)} LUFS; {name} no exige sonoridad.", lufs, None, "LUFS")
        return
    off = lufs - wanted
    is_as_wanted = (
        abs(off) <= target.tolerance_lu + 0.05
    )  # the meter's own tolerance, half of what EBU Tech 3341 allows
    asked = f"{_en(wanted)} ± {target.tolerance_lu:g} LUFS"
    here = f"{_en(lufs)} LUFS", f"{_es(lufs)} LUFS"
    if is_as_wanted:
        mark: Mark = "good"
        words = f"as {name} wants it.", f"como lo pide {name}."
    elif target.is_delivery_rule:
        mark = "problem"
        words = (
            f"{_en(abs(off))} LU too {'loud' if off > 0 else 'quiet'} for {name}, which takes {_en(wanted)} LUFS.",
            f"{_es(abs(off))} LU {'por encima' if off > 0 else 'por debajo'} de lo que admite {name} ({_es(wanted)} LUFS).",
        )
    elif off > 0:
        mark = "notice"
        words = (
            f"{name} will turn it down by {_en(off)} dB: what was limited for loudness is lost for nothing.",
            f"{name} lo bajará {_es(off)} dB: lo que se limitó para ganar sonoridad se pierde sin provecho.",
        )
    else:
        mark = "notice"
        words = (
            f"{_en(-off)} LU below what {name} plays at; beside other songs it may sound soft.",
            f"{_es(-off)} LU por debajo de la referencia de {name}; junto a otros temas puede sonar flojo.",
        )
    yield _say("integrated_lufs", mark, f"{here[0]}: {words[0]}", f"{here[1]}: {words[1]}", lufs, asked, "LUFS")


def _peaks(found: AudioAnalysis, target: PlatformTarget) -> Iterator[Verdict]:
    peak = found.true_peak_dbtp
    if peak is None:
        return
    over = peak - target.ceiling_dbtp
    wanted, mark = f"<= {_en(target.ceiling_dbtp)} dBTP", "good"
    here = f"True peak {_en(peak)} dBTP", f"Pico real {_es(peak)} dBTP"
    if over <= 0.05:
        words = f"below the ceiling of {target.name}.", f"por debajo del techo de {target.name}."
    else:
        mark = "problem" if peak > 0.0 or target.is_delivery_rule else "notice"
        words = (
            f"{_en(over)} dB above the ceiling of {target.name} ({_en(target.ceiling_dbtp)} dBTP)",
            f"{_es(over)} dB por encima del techo de {target.name} ({_es(target.ceiling_dbtp)} dBTP)",
        )
        if peak > 0.0:
            words = (
                f"{words[0]}; it distorts in converters and lossy codecs.",
                f"{words[1]}; distorsiona en conversores y códecs.",
            )
        else:
            words = (
                f"{words[0]}; a lossy codec may push it over full scale.",
                f"{words[1]}; un códec con pérdida puede saturarlo.",
            )
    yield _say("true_peak_dbtp", _mark(mark), f"{here[0]}: {words[0]}", f"{here[1]}: {words[1]}", peak, wanted, "dBTP")


def _range(found: AudioAnalysis) -> Iterator[Verdict]:
    value = found.loudness_range_lu
    if value is None or found.duration_seconds < 30.0:  # of less, EBU Tech 3342 says little
        return
    here = f"Loudness range {_en(value)} LU", f"Rango de sonoridad {_es(value)} LU"
    if value > LIVELY_LU:
        words = (
            "very wide; soft passages may get lost where it is noisy.",
            "muy amplio; los pasajes suaves se perderán donde haya ruido.",
        )
    elif value < FLAT_LU:
        words = "very narrow; loud and soft hardly differ.", "muy estrecho; apenas hay diferencia entre fuerte y suave."
    else:
        words = "usual for a programme.", "habitual en un programa."
    mark = "good" if FLAT_LU <= value <= LIVELY_LU else "notice"
    yield _say(
        "loudness_range_lu", _mark(mark), f"{here[0]}: {words[0]}", f"{here[1]}: {words[1]}", value, "3 - 18 LU", "LU"
    )


def _dynamics(found: AudioAnalysis, target: PlatformTarget) -> Iterator[Verdict]:
    value = found.peak_to_loudness_lu
    if value is None or found.channels > 2:  # the loudness of many speakers adds up, their peaks do not
        return
    here = f"Peak to loudness {_en(value)} LU", f"Relación pico-sonoridad {_es(value)} LU"
    wanted = SQUASHED_PLR_LU
    if value < wanted:
        words = "heavily limited; transients have little room.", "muy limitado; los transitorios apenas tienen espacio."
    else:
        words = "the transients have room.", "los transitorios tienen espacio."
    room = None if target.target_lufs is None else target.ceiling_dbtp - target.target_lufs
    if room is not None and value > room + 0.1:
        more = (
            f" At the loudness of {target.name} its peaks pass the ceiling by {_en(value - room)} dB: a limiter is needed.",
            f" A la sonoridad de {target.name} los picos pasan del techo en {_es(value - room)} dB: hace falta un limitador.",
        )
        words = words[0] + more[0], words[1] + more[1]
    mark: Mark = "notice" if value < wanted else "good"
    yield _say(
        "peak_to_loudness_lu",
        mark,
        f"{here[0]}: {words[0]}",
        f"{here[1]}: {words[1]}",
        value,
        f">= {wanted:g} LU",
        "LU",
    )


def _clipping(clipping: Clipping) -> Iterator[Verdict]:
    if not clipping.count:
        text, text_es = "No clipped samples.", "Sin muestras recortadas."
        yield _say("clipping", "good", text, text_es, 0.0, "0", "places")
        return
    first = clipping.places[0].start_seconds if clipping.places else 0.0
    often = ("once", "una vez") if clipping.count == 1 else (f"{clipping.count} times", f"{clipping.count} veces")
    when, cuando = _clock(first), _clock(first).replace(".", ",")
    yield _say(
        "clipping",
        "problem",
        f"The tops of the wave are cut off {often[0]} ({clipping.samples} samples), first at {when}.",
        f"Las crestas de la onda están recortadas {often[1]} ({clipping.samples} muestras), la primera en {cuando}.",
        float(clipping.count),
        "0",
        "places",
    )


def _offset(found: AudioAnalysis) -> Iterator[Verdict]:
    if not found.dc_offset:
        return
    worst = max(found.dc_offset, key=abs)
    share = abs(worst) * 100.0
    if abs(worst) <= OFFSET:
        yield _say(
            "dc_offset", "good", "No direct current.", "Sin componente continua.", worst, f"<= {OFFSET}", "full scale"
        )
        return
    yield _say(
        "dc_offset",
        "notice",
        f"A direct current of {share:.2f} % of full scale: it costs headroom and clicks at edits; a high-pass at 20 Hz removes it.",
        f"Hay componente continua ({_es(share, 2)} % de fondo de escala): resta margen y hace clics al editar; "
        "un paso alto a 20 Hz la quita.",
        worst,
        f"<= {OFFSET}",
        "full scale",
    )


def _noise(found: AudioAnalysis) -> Iterator[Verdict]:
    floor, has_pauses = found.noise_floor_dbfs, bool(found.silences and found.silences.count)
    if floor is None or found.rms_dbfs is None:
        return
    here = f"Noise floor {_en(floor)} dBFS", f"Ruido de fondo {_es(floor)} dBFS"
    mark: Mark = "good"
    if floor <= QUIET_ENOUGH_DBFS:
        words = "low.", "bajo."
    elif has_pauses:
        words = (
            "the pauses are clean; this is the softest of the sound.",
            "las pausas están limpias; esto es lo más suave que suena.",
        )
    elif found.rms_dbfs - floor < ALWAYS_SOUNDING_DB:
        words = (
            "it is never quiet enough to tell noise from sound.",
            "nunca calla lo bastante para distinguir el ruido.",
        )
    elif floor > NOISY_DBFS:
        mark = "notice"
        words = "high; noise is likely to be heard in the pauses.", "alto; es probable que se oiga en las pausas."
    else:
        words = "fair.", "aceptable."
    yield _say(
        "noise_floor_dbfs",
        mark,
        f"{here[0]}: {words[0]}",
        f"{here[1]}: {words[1]}",
        floor,
        "<= -60 dBFS",
        "dBFS",
    )


def _silences(silences: Silences, seconds: float) -> Iterator[Verdict]:
    edges = max(silences.leading_seconds, silences.trailing_seconds)
    total = silences.total_seconds
    if silences.count and total >= seconds - 0.01:
        yield _say(
            "silences", "problem", "It is silent from end to end.", "Es silencio de principio a fin.", total, None, "s"
        )
    elif edges > LONG_SILENCE_SECONDS:
        yield _say(
            "silences",
            "notice",
            f"{_en(silences.leading_seconds)} s of silence before it and {_en(silences.trailing_seconds)} s after it: trim it.",
            f"{_es(silences.leading_seconds)} s de silencio antes y {_es(silences.trailing_seconds)} s después: conviene recortarlo.",
            edges,
            f"<= {LONG_SILENCE_SECONDS:g} s",
            "s",
        )
    else:
        text = f"{silences.count} silences, {_en(total)} s in all." if silences.count else "No silences."
        text_es = f"{silences.count} silencios, {_es(total)} s en total." if silences.count else "Sin silencios."
        yield _say("silences", "good", text, text_es, total, None, "s")


def _balance(balance: TonalBalance) -> Iterator[Verdict]:
    values = {name: getattr(balance, name) for name in _REGIONS}
    # A share that is taken up elsewhere is missing here: what is too much is the news, then what is far too little.
    heard = {name: value for name, value in values.items() if value is not None}
    much = {name: value for name, value in heard.items() if value > UNUSUAL_DB}
    little = {name: value for name, value in heard.items() if value < -FAR_DB}
    if not heard:
        return
    if not much and not little:
        yield _say("tonal_balance", "good", "The spectrum is balanced.", "El espectro está equilibrado.")
        return
    far = max(heard.values(), key=abs)
    most = [*much.items(), *sorted(little.items(), key=lambda each: each[1])][:MOST_REGIONS]
    text = [
        f"{_signed(value)} dB of {_REGIONS[name][0]}" if value > -MISSING_DB else f"hardly any {_REGIONS[name][0]}"
        for name, value in most
    ]
    text_es = [
        f"{_signed(value, es=True)} dB en {_REGIONS[name][1]}"
        if value > -MISSING_DB
        else f"casi nada en {_REGIONS[name][1]}"
        for name, value in most
    ]
    mark: Mark = "problem" if max(much.values(), default=0.0) > FAR_DB else "notice"
    yield _say(
        "tonal_balance",
        mark,
        f"Against a balanced programme: {', '.join(text)}.",
        f"Frente a un programa equilibrado: {', '.join(text_es)}.",
        far,
        f"± {UNUSUAL_DB:g} dB",
        "dB",
    )


def _stereo(stereo: Stereo) -> Iterator[Verdict]:
    width, loss = stereo.width, stereo.mono_loss_db
    if width is None or loss is None:
        return
    correlation = stereo.correlation
    where = (
        (f"correlation {_en(correlation, 2)}", f"correlación {_es(correlation, 2)}")
        if correlation is not None
        else ("", "")
    )
    problems: list[tuple[Mark, str, str]] = []
    if loss > HEARD_LOSS_DB:
        problems.append(
            (
                "problem" if loss > GREAT_LOSS_DB else "notice",
                f"a fold to mono takes {_en(loss)} dB away: the channels cancel each other",
                f"al pasar a mono se pierden {_es(loss)} dB: los canales se cancelan",
            )
        )
    if (
        stereo.low_end_correlation is not None
        and stereo.low_end_correlation < LOW_END_TOGETHER
        and correlation is not None
    ):
        low = stereo.low_end_correlation
        problems.append(
            (
                "notice",
                f"below 120 Hz the channels go apart (correlation {_en(low, 2)}): keep the low end in the middle",
                f"por debajo de 120 Hz los canales difieren (correlación {_es(low, 2)}): conviene centrar los graves",
            )
        )
    if stereo.balance_db is None:
        problems.append(("notice", "one channel is silent", "un canal está en silencio"))
    elif abs(stereo.balance_db) > OFF_CENTRE_DB:
        side = ("left", "izquierdo") if stereo.balance_db > 0 else ("right", "derecho")
        off = abs(stereo.balance_db)
        problems.append(
            ("notice", f"the {side[0]} is {_en(off)} dB louder", f"el lado {side[1]} suena {_es(off)} dB más fuerte")
        )
    if problems:
        mark: Mark = "problem" if any(mark == "problem" for mark, _, _ in problems) else "notice"
        text, text_es = "; ".join(one for _, one, _ in problems), "; ".join(one for _, _, one in problems)
    else:
        mark = "good"
        if width < NARROW:
            text, text_es = "practically mono", "prácticamente mono"
        elif width > WIDE:
            text, text_es = "very wide", "muy abierto"
        else:
            text, text_es = "mono-compatible", "compatible con mono"
    joined = (
        ", ".join(part for part in (text, where[0]) if part),
        ", ".join(part for part in (text_es, where[1]) if part),
    )
    yield _say("stereo", mark, f"Stereo: {joined[0]}.", f"Estéreo: {joined[1]}.", correlation, "> 0", None)


def _tempo(tempo: Tempo) -> Iterator[Verdict]:
    if tempo.bpm is None:
        yield _say("tempo", "good", "No steady beat was found.", "No se encontró un pulso estable.", None, None, "bpm")
        return
    sure = _sureness(tempo.confidence)
    text, text_es = f"{_en(tempo.bpm)} bpm, {sure[0]}.", f"{_es(tempo.bpm)} bpm, {sure[1]}."
    yield _say("tempo", "good", text, text_es, tempo.bpm, None, "bpm")


def _key(key: MusicalKey) -> Iterator[Verdict]:
    if key.name is None:
        yield _say("key", "good", "No key stands out.", "No destaca ninguna tonalidad.")
        return
    sure = _sureness(key.confidence)
    note, _, mode = key.name.partition(" ")
    accidental = {"#": " sostenido", "b": " bemol"}.get(note[1:], "")
    name_es = f"{_NOTES_ES[note[0]]}{accidental} {'mayor' if mode == 'major' else 'menor'}"
    yield _say("key", "good", f"{key.name}, {sure[0]}.", f"{name_es.capitalize()}, {sure[1]}.")


def _sureness(confidence: float) -> tuple[str, str]:
    if confidence >= 0.7:
        return "quite certain", "bastante seguro"
    return ("likely", "probable") if confidence >= 0.4 else ("a guess", "una conjetura")


def _say(
    measure: str,
    verdict: Mark,
    text: str,
    text_es: str,
    value: float | None = None,
    wanted: str | None = None,
    unit: str | None = None,
) -> Verdict:
    return Verdict(measure=measure, verdict=verdict, text=text, text_es=text_es, value=value, wanted=wanted, unit=unit)


def _mark(mark: str) -> Mark:
    return "problem" if mark == "problem" else "notice" if mark == "notice" else "good"


def _en(value: float, decimals: int = 1) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def _es(value: float, decimals: int = 1) -> str:
    return _en(value, decimals).replace(".", ",")


def _signed(value: float, *, es: bool = False) -> str:
    text = f"{value:+.1f}"
    return text.replace(".", ",") if es else text


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
