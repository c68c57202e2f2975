"""From a reading to the answer: what to be warned of, what is usually done, and what has to be asked, in the language of the command."""

from collections.abc import Iterator, Sequence
from typing import Any

from config.contracts.shub import AudioWarning
from config.contracts.shub_language import CommandAction, CommandContext, Interpretation
from shub.language.outcome import Language, Reading
from shub.language.stems import role_in
from shub.language.warnings import Found, destructive, told, warnings_of_effects, warnings_of_output

SURE_FROM = 0.6
"""Below it the questions come first."""
WHOLE = ("export", "master", "normalize", "mix", "match_reference")
STREAMED = ("streaming", "spotify", "apple_music", "youtube", "tidal", "amazon_music", "podcast")
MOST_RECOMMENDATIONS = 4

QUESTIONS: dict[str, tuple[str, str]] = {
    "unclear": (
        "¿Qué quieres que haga? Por ejemplo: «sube 2 dB la voz», «quita barro en el bajo», «masteriza para Spotify».",
        'What shall I do? For example: "vocal up 2 dB", "remove mud from the bass", "master for Spotify".',
    ),
    "nothing_asked": (
        "Entendido, no lo toco. ¿Quieres que haga alguna otra cosa?",
        "Understood, I leave it alone. Is there something else you want done?",
    ),
    "which_target": ("¿De qué pista hablas?", "Which track do you mean?"),
    "assumed_master": (
        "¿En qué pista? Si no me dices otra cosa, en la mezcla entera.",
        "On which track? Unless you say so, on the whole mix.",
    ),
    "which_effect": ("¿Qué efecto quieres, y con qué valores?", "Which effect do you want, and with which values?"),
    "which_part": (
        "¿Qué parte quieres recortar, desde qué segundo hasta cuál?",
        "Which part shall be cut, from which second to which?",
    ),
    "mute_or_delete": (
        "La silencio en la mezcla y el archivo se queda. ¿Es eso lo que quieres?",
        "I mute it in the mix and keep the file. Is that what you want?",
    ),
}

RECOMMENDATIONS: dict[str, tuple[str, str]] = {
    "mix": (
        "Deja margen: picos hacia -6 dBFS antes del máster (práctica habitual de estudio).",
        "Leave headroom: peaks around -6 dBFS before mastering (common studio practice).",
    ),
    "mix_cut": (
        "Un paso alto por debajo de 30-40 Hz donde no haya contenido limpia la mezcla (práctica habitual de estudio).",
        "A high-pass below 30 to 40 Hz where there is no content cleans a mix (common studio practice).",
    ),
    "master": (
        "Deja el pico real en -1 dBTP o menos (EBU R 128), medido con sobremuestreo (ITU-R BS.1770, anexo 2).",
        "Keep the true peak at -1 dBTP or less (EBU R 128), measured with oversampling (ITU-R BS.1770, annex 2).",
    ),
    "master_mono": (
        "Comprueba la correlación de fase y la escucha en mono antes de entregar.",
        "Check phase correlation and listen in mono before delivery.",
    ),
    "loud": (
        "Las plataformas bajan lo que pasa de -14 LUFS: más sonoridad solo cuesta dinámica.",
        "Streaming services turn down what is above -14 LUFS: more loudness only costs dynamics.",
    ),
    "boost": (
        "Antes de realzar, prueba a cortar lo que lo tapa; y compara al mismo nivel, para no confundir más fuerte con mejor.",
        "Before boosting, try to cut what masks it; and compare at the same level, so that louder is not taken for better.",
    ),
    "compressor": (
        "Ajusta el umbral hasta 3-6 dB de reducción y compara con el bypass al mismo nivel.",
        "Set the threshold for 3 to 6 dB of reduction, and compare with the bypass at the same level.",
    ),
    "reverb": (
        "En un envío, con paso alto a 200 Hz, la reverb no enturbia la mezcla.",
        "On a send, with a high-pass at 200 Hz, reverb does not make a mix muddy.",
    ),
    "deesser": (
        "Después del compresor, que realza las eses; 3-6 dB de reducción bastan.",
        "Put it after the compressor, which brings out the esses; 3 to 6 dB of reduction are enough.",
    ),
    "width": ("Comprueba la mezcla en mono: lo que está en contrafase desaparece.",
        "Check the mix in mono: what is out of phase disappears."),
    "dither": (
        "Aplica dither TPDF al bajar a 16 bits, una sola vez y al final (Lipshitz, Wannamaker y Vanderkooy, JAES 1992).",
        "Dither (TPDF) when going to 16 bit, once and last (Lipshitz, Wannamaker and Vanderkooy, JAES 1992).",
    ),
    "lossy": ("Guarda también un WAV o FLAC: lo que un MP3 quita no vuelve.",
        "Keep a WAV or FLAC as well: what an MP3 takes away does not come back."),
}  # fmt: skip


def answer_of(reading: Reading, context: CommandContext) -> Interpretation:
    """The rules' answer."""
    asks = questions_of(reading)
    unsure = reading.confidence < SURE_FROM
    return Interpretation(
        actions=reading.actions,
        descriptors=reading.descriptors,
        warnings=warnings_of(
            reading.actions, context, reading.language, unused=reading.unused, unavailable=reading.unavailable
        ),
        recommendations=recommendations_of(reading.actions, reading.language),
        needs_clarification=unsure,
        questions=asks or ([_in(QUESTIONS["unclear"], reading.language)] if unsure else []),
        confidence=reading.confidence,
        language=reading.language,
    )


def warnings_of(
    actions: Sequence[CommandAction],
    context: CommandContext,
    language: Language,
    *,
    unused: Sequence[str] = (),
    unavailable: Sequence[str] = (),
) -> list[AudioWarning]:
    """What a person should know before these actions are done."""
    found: list[AudioWarning] = []
    for action in actions:
        role = role_in(context, action.targets[0]) if action.targets else None
        found += warnings_of_effects(
            _as_effects(action), sample_rate_hz=context.sample_rate_hz, target_role=role, language=language
        )
        if action.action in WHOLE:
            params = dict(action.params)
            if action.action == "export":
                params.setdefault("format", context.target_format)
            found += warnings_of_output(
                params,
                source_bit_depth=context.bit_depth,
                is_streamed=action.params.get("target") in STREAMED,
                language=language,
            )
    found += told(list(_of_reading(actions, unused, unavailable)), language)
    return list({(one.code, one.text): one for one in found}.values())


def _as_effects(action: CommandAction) -> list[dict[str, Any]]:
    """The effects of an action, with its level and place as what they are, and the values that no effect could take."""
    effects = list(action.effects)
    params = action.params
    if action.action == "set_mix":
        if isinstance(params.get("gain_db"), int | float):
            effects.append({"type": "gain", "gain_db": params["gain_db"]})
        pans = params.get("pan")
        effects += [
            {"type": "pan", "pan": one} for one in (pans if isinstance(pans, list) else [pans]) if one is not None
        ]
    elif action.action == "apply_effects":
        kind = effects[0]["type"] if effects else "gain"
        loose = {
            key: params[key]
            for key in ("freq_hz", "gain_db", "ratio", "attack_ms", "release_ms", "q")
            if isinstance(params.get(key), int | float)
        }
        if loose:
            effects.append({"type": "compressor" if "ratio" in loose else kind, **loose})
    return effects


def _of_reading(actions: Sequence[CommandAction], unused: Sequence[str], unavailable: Sequence[str]) -> Iterator[Found]:
    if any(action.action == "delete" for action in actions):
        yield destructive()
    for text in dict.fromkeys(unused):
        yield (
            "value_not_used",
            f"«{text}» no lo usa ningún efecto de aquí; queda en los parámetros",
            f'no effect here takes "{text}"; it is kept in the params',
        )
    for text in dict.fromkeys(unavailable):
        yield ("effect_not_available", f"«{text}» no se puede hacer aquí", f'"{text}" cannot be done here')


def recommendations_of(actions: Sequence[CommandAction], language: Language) -> list[str]:
    """What is usually done in such a case, a few sentences at most."""
    names: list[str] = []
    for action in actions:
        match action.action:
            case "mix":
                names += ["mix", "mix_cut"]
            case "master" | "match_reference":
                names += ["master", "master_mono"]
        if (action.params.get("target_lufs") or -99.0) > -13.0 and action.action in WHOLE:
            names.append("loud")
        if action.params.get("bit_depth") == 16:
            names.append("dither")
        if action.params.get("format") in ("mp3", "ogg", "aac", "m4a", "opus"):
            names.append("lossy")
        for effect in action.effects:
            if effect["type"].startswith("eq_") and effect.get("gain_db", 0.0) > 0:
                names.append("boost")
            elif effect["type"] in ("compressor", "reverb", "deesser", "width"):
                names.append(effect["type"])
    return [_in(RECOMMENDATIONS[name], language) for name in dict.fromkeys(names)][:MOST_RECOMMENDATIONS]


def questions_of(reading: Reading) -> list[str]:
    return [_in(QUESTIONS[doubt], reading.language) for doubt in dict.fromkeys(reading.doubts)]


def _in(texts: tuple[str, str], language: Language) -> str:
    return texts[0] if language == "es" else texts[1]
