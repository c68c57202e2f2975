"""What to mind in a request about audio, and what is usually done, in the language of the request and with its source."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from switch.audio.parameters import RANGES, Read
from switch.audio.terms import folded

Language = Literal["es", "en"]
SPANISH = re.compile(
    r"[ñ¿¡]|\b(?:el|la|los|las|un|una|de|del|que|para|por|con|sin|y|en|al|es|pon|sube|baja|quita|mezcla|masteriza|exporta|esta|este|mi|"
    r"como|cual|quiero|haz)\b"
)
ENGLISH = re.compile(
    r"\b(?:the|an?|of|to|for|with|without|and|on|at|is|my|this|that|what|how|should|make|add|remove|put|export|mix|boost|cut|does)\b"
)
LOUD_LUFS = -9.0
STREAMING_LUFS = -14.0
SAFE_DBTP = -1.0
HARD_RATIO = 10.0
LARGE_GAIN_DB = 12.0

NAMES: Mapping[str, tuple[str, str]] = {
    "target_lufs": ("la sonoridad", "the loudness"),
    "ceiling_dbtp": ("el techo de pico real", "the true-peak ceiling"),
    "sample_rate_hz": ("la frecuencia de muestreo", "the sample rate"),
    "frequency_hz": ("la frecuencia", "the frequency"),
    "bit_depth": ("la profundidad de bits", "the bit depth"),
    "ratio": ("el ratio", "the ratio"),
    "threshold_db": ("el umbral", "the threshold"),
    "gain_db": ("la ganancia", "the gain"),
    "attack_ms": ("el ataque", "the attack"),
    "release_ms": ("el release", "the release"),
    "pre_delay_ms": ("el pre-delay", "the pre-delay"),
    "delay_ms": ("el delay", "the delay"),
    "tempo_bpm": ("el tempo", "the tempo"),
    "bitrate_kbps": ("la tasa de bits", "the bit rate"),
}

RISKS: tuple[tuple[str, str, str], ...] = (
    (
        r"clipping|\bclip(?:ea|s|ped)?\b|recort(?:a|ando|e) |saturacion excesiva|distorsi?on digital",
        "el recorte digital no se puede deshacer: baja el nivel antes del conversor o del limitador",
        "digital clipping cannot be undone: lower the level before the converter or the limiter",
    ),
    (
        r"alta compresion|sobrecompr|over-?compress|crush|aplasta|muy comprimid|heavily compressed|brickwall|loudness war|as loud as",
        "demasiada compresión quita dinámica: compara con el original a la misma sonoridad",
        "too much compression takes the dynamics away: compare with the original at the same loudness",
    ),
    (
        r"low end excesivo|exceso de graves|demasiados? (?:sub)?graves|too much (?:low end|bass)|sub-?bass boost|mas subgraves",
        "unos graves excesivos consumen margen y se anulan por fase: revísalos en mono y con un corte por debajo de 30 Hz",
        "too much low end eats headroom and cancels out of phase: check it in mono, and cut below 30 Hz",
    ),
    (
        r"compatibilidad mono|mono compat|(?:a|to|en|in) mono\b|stereo width|(?:anchura|amplitud) estereo|widen|ensancha|mid[-/]side|haas",
        "comprueba la compatibilidad mono: lo que está en contrafase desaparece en un altavoz mono",
        "check the mono compatibility: what is out of phase disappears on a mono speaker",
    ),
)

HABITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "mix_command": (
        (
            "deja margen: picos hacia -6 dBFS antes del máster (práctica habitual de estudio)",
            "leave headroom: peaks around -6 dBFS before mastering (common studio practice)",
        ),
        (
            "filtro paso alto por debajo de 30-40 Hz donde no haya contenido (práctica habitual de estudio)",
            "high-pass below 30 to 40 Hz where there is no content (common studio practice)",
        ),
        (
            "compara las mezclas a la misma sonoridad, medida según ITU-R BS.1770",
            "compare mixes at the same loudness, measured as in ITU-R BS.1770",
        ),
    ),
    "master_command": (
        (
            "las plataformas normalizan hacia -14 LUFS (documentación de Spotify y de YouTube); la radio, a -23 LUFS (EBU R 128)",
            "streaming services normalize to about -14 LUFS (Spotify's and YouTube's documentation), broadcast to -23 LUFS (EBU R 128)",
        ),
        (
            "pico real máximo de -1 dBTP (EBU R 128), medido con sobremuestreo (ITU-R BS.1770, anexo 2)",
            "true peak of -1 dBTP at most (EBU R 128), measured with oversampling (ITU-R BS.1770, annex 2)",
        ),
        (
            "comprueba la correlación de fase y la escucha en mono antes de entregar (práctica habitual de estudio)",
            "check phase correlation and listen in mono before delivery (common studio practice)",
        ),
    ),
    "effect_command": (
        (
            "ajusta con el efecto en bypass al mismo nivel, para no confundir más fuerte con mejor (práctica habitual de estudio)",
            "match the level with the effect bypassed, so that louder is not taken for better (common studio practice)",
        ),
        (
            "para una voz, empieza con ratio 3:1 a 4:1, ataque de 5-20 ms y 3-6 dB de reducción (práctica habitual de estudio)",
            "for a vocal start at a ratio of 3:1 to 4:1, 5 to 20 ms of attack and 3 to 6 dB of reduction (common studio practice)",
        ),
    ),
    "export_command": (
        (
            "exporta a WAV de 24 bits con la frecuencia de muestreo del proyecto, y reduce después (práctica habitual de estudio)",
            "export a 24-bit WAV at the session's sample rate, and reduce afterwards (common studio practice)",
        ),
        (
            "aplica dither TPDF al bajar a 16 bits, una sola vez y al final (Lipshitz, Wannamaker y Vanderkooy, JAES 1992)",
            "dither (TPDF) when going to 16 bit, once and last (Lipshitz, Wannamaker and Vanderkooy, JAES 1992)",
        ),
    ),
    "analysis_command": (
        (
            "mide sonoridad integrada, rango (LRA, EBU Tech 3342) y pico real (ITU-R BS.1770)",
            "measure integrated loudness, loudness range (LRA, EBU Tech 3342) and true peak (ITU-R BS.1770)",
        ),
    ),
    "question": (),
}


def language_of(text: str) -> Language:
    """The one whose small words are more; Spanish where neither has any, as this fleet's documents."""
    said = folded(text)
    marks = 2 * len(re.findall("[ñ¿¡]", text.casefold()))
    return "en" if len(ENGLISH.findall(said)) > len(SPANISH.findall(said)) + marks else "es"


def warnings(text: str, found: Read, language: Language) -> list[str]:
    """What is wrong or risky in what was asked for."""
    told = [_impossible(name, value, language) for name, value in found.impossible]
    told += [es if language == "es" else en for es, en in _risky_values(found.parameters, folded(text))]
    told += [es if language == "es" else en for pattern, es, en in RISKS if re.search(pattern, folded(text))]
    return list(dict.fromkeys(told))


def recommendations(command_type: str, found: Read, language: Language) -> list[str]:
    """What is usually done, each with where it comes from."""
    told = [es if language == "es" else en for es, en in HABITS[command_type]]
    if command_type == "master_command" and found.parameters.get("target_lufs") == STREAMING_LUFS:
        return told[1:]
    return told


def _impossible(name: str, value: float, language: Language) -> str:
    spanish, english = NAMES[name]
    if name == "bit_depth":
        return (
            f"{spanish} de {value:g} bits no existe aquí: 16, 24 o 32"
            if language == "es"
            else f"{english} cannot be {value:g} bit here: 16, 24 or 32"
        )
    limits = RANGES[name]
    hint = ""
    if name in ("target_lufs", "ceiling_dbtp") and value > 0 and limits.holds(-value):
        hint = f"; ¿{-value:g} {limits.unit}?" if language == "es" else f"; did you mean {-value:g} {limits.unit}?"
    if language == "es":
        return f"{spanish} no puede ser {value:g} {limits.unit}: de {limits.lowest:g} a {limits.highest:g}{hint}"
    return f"{english} cannot be {value:g} {limits.unit}: {limits.lowest:g} to {limits.highest:g}{hint}"


def _risky_values(asked: Mapping[str, Any], said: str) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    if asked.get("target_lufs", -99.0) > LOUD_LUFS:
        told.append(
            (
                f"{asked['target_lufs']:g} LUFS es muy alto: se perderá dinámica y las plataformas lo bajarán hacia -14 LUFS",
                f"{asked['target_lufs']:g} LUFS is very loud: dynamics will suffer, and streaming services turn it down to about -14 LUFS",
            )
        )
    if asked.get("ceiling_dbtp", -99.0) > SAFE_DBTP:
        told.append(
            (
                f"un techo de {asked['ceiling_dbtp']:g} dBTP puede recortar al codificar con pérdida: -1 dBTP o menos (EBU R 128)",
                f"a ceiling of {asked['ceiling_dbtp']:g} dBTP may clip in lossy encoders: -1 dBTP or lower (EBU R 128)",
            )
        )
    if asked.get("ratio", 0.0) >= HARD_RATIO:
        told.append(
            (
                f"un ratio de {asked['ratio']:g}:1 limita más que comprime: se pierde dinámica",
                f"a ratio of {asked['ratio']:g}:1 limits rather than compresses: dynamics are lost",
            )
        )
    if asked.get("gain_db", 0.0) > LARGE_GAIN_DB:
        told.append(
            (
                f"subir {asked['gain_db']:g} dB puede recortar: comprueba el margen",
                f"{asked['gain_db']:g} dB of gain may clip: check the headroom",
            )
        )
    if asked.get("bit_depth") == 16 and "dither" not in said:
        told.append(
            (
                "al bajar a 16 bits aplica dither, o quedará distorsión de cuantización",
                "dither when going to 16 bit, or quantization distortion remains",
            )
        )
    if asked.get("format") in ("mp3", "aac", "ogg", "m4a", "opus") and re.search(
        r"stem|master|multipista|multitrack", said
    ):
        told.append(
            (
                f"{asked['format']} pierde calidad: para stems y másteres usa WAV o FLAC",
                f"{asked['format']} is lossy: use WAV or FLAC for stems and masters",
            )
        )
    return told
