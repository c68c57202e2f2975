"""What the rules promise of any text: an answer in bounded time, effects that a chain takes, numbers that are kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from config.contracts.effects import Effect
from config.contracts.shub_language import CommandContext, Interpretation
from shub.language.answering import answer_of
from shub.language.clause import MOST_ITEMS
from shub.language.clauses import clauses_of
from shub.language.reading import read
from shub.language.scanning import scan
from shub.language.warnings import warnings_of_effects, warnings_of_output

EFFECT: TypeAdapter[Any] = TypeAdapter(Effect)
NOTHING = CommandContext()
WORDS = (
    "sube baja quita la voz el bajo y con 3 dB -2 Hz 4:1 menos reverb compresor barro and the vocal cut boost no sin , . : 200 k a % "
    "master delete borra todo pista más un poco ms de ataque umbral left derecha 50 fade out segundos LUFS export wav 16 bits "
    "solo pan except"
)


def answer(command: str, context: CommandContext = NOTHING) -> Interpretation:
    return answer_of(read(command, context), context)


@pytest.mark.parametrize("order", ["delete the file {}", "borra el archivo {}"])
@pytest.mark.parametrize("letters", ["bd1", "3db", "db2ac4", "50bd"])
def test_the_id_of_a_file_is_that_file_whatever_its_letters_spell(order: str, letters: str) -> None:
    asset_id = f"asset_01a2{letters}"
    found = read(order.format(asset_id), CommandContext(stems=[{"name": "pad", "asset_id": asset_id}]))
    assert [(action.action, action.targets, action.params) for action in found.actions] == [("delete", ["pad"], {})]


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_is_answered(text: str) -> None:
    assert answer(text).actions


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=40))
def test_whatever_is_said_of_sound_gives_effects_that_a_chain_takes(words: list[str]) -> None:
    told = answer(" ".join(words))
    for action in told.actions:
        for effect in action.effects:
            EFFECT.validate_python(effect)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "no ",
        "sube ",
        "-",
        ",",
        "1,",
        "y ",
        "3 dB ",
        "la voz y ",
        "(",
        "ñ",
        "1/4 ",
        "4:1 ",
        "0:30 ",
        "mil ",
        "bajjo ",
    ],
)
def test_the_longest_command_of_one_piece_is_answered(piece: str) -> None:
    assert answer((piece * 4_000)[:4_000]).actions  # a slow pattern would not come back from this


@given(gain=st.floats(0.5, 12.0), hertz=st.integers(60, 12_000), q=st.floats(0.3, 8.0))
@settings(max_examples=40, deadline=None)
def test_plausible_numbers_arrive_in_the_effect_as_they_were_said(gain: float, hertz: int, q: float) -> None:
    gain, q = round(gain, 1), round(q, 1)
    said = f"corta {gain:g} dB en {hertz} Hz en la guitarra con Q {q:g}".replace(".", ",")
    (action,) = answer(said).actions
    (effect,) = action.effects
    assert (effect["type"], effect["gain_db"], effect["freq_hz"], effect["q"]) == ("eq_peak", -gain, float(hertz), q)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("comprime la voz 40:1", "ratio_is_limiting"),
        ("boost 30 dB at 10 Hz on the bass", "gain_out_of_range"),
        ("boost 3 dB at 10 Hz on the bass", "freq_inaudible"),
        ("export 16 bit wav, no dither", "dither_missing_on_bit_depth_reduction"),
        ("comprime el bajo con ataque de 900 ms", "attack_out_of_range"),
        ("masteriza a -3 LUFS", "loudness_target_implausible"),
        ("masteriza para Spotify con techo en -0,1 dBTP", "ceiling_too_high_for_lossy"),
        ("panea el bajo todo a la izquierda", "low_frequency_hard_pan"),
        ("pon reverb en el bombo", "reverb_on_low_end"),
        ("reverb al 100 % en la voz", "fully_wet_insert"),
        ("borra todos los stems", "destructive_requires_confirmation"),
        ("sube la voz 20 dB", "gain_out_of_range"),
        ("transpón la voz 2 semitonos", "effect_not_available"),
        ("exporta en aac", "format_not_available"),
    ],
)
def test_what_is_hardly_ever_meant_is_warned_of(command: str, code: str) -> None:
    assert code in {warning.code for warning in answer(command).warnings}


def test_a_frequency_is_judged_by_the_sound_that_it_is_for() -> None:
    context = CommandContext(sample_rate_hz=22_050)
    assert "freq_above_nyquist" in {one.code for one in answer("sube 2 dB a 15 kHz en la voz", context).warnings}
    assert "freq_above_nyquist" not in {one.code for one in answer("sube 2 dB a 15 kHz en la voz").warnings}


def test_a_usual_chain_is_not_warned_of() -> None:
    chain = [
        {"type": "highpass", "freq_hz": 80.0},
        {"type": "eq_peak", "freq_hz": 300.0, "gain_db": -3.0, "q": 1.0},
        {"type": "compressor", "ratio": 3.0, "attack_ms": 10.0, "release_ms": 120.0},
        {"type": "reverb", "wet": 0.2},
        {"type": "limiter", "ceiling_dbtp": -1.0},
    ]
    assert warnings_of_effects(chain, sample_rate_hz=48_000, target_role="vocal") == []
    assert warnings_of_output({"format": "wav", "bit_depth": 16, "dither": "tpdf", "target_lufs": -14.0}) == []


@pytest.mark.parametrize(
    "command",
    [
        "quita barro", "elimina el siseo de la voz", "borra las frecuencias bajo 80 Hz", "delete the hum on the guitar track",
        "no borres los stems", "¿puedo borrar los archivos?", "how do I delete a file?",
        "sácame un wav de la mezcla",
        "borra el ruido de la pista de voz", "quita la reverb",
        "elimina todo lo que sobra por debajo de 30 Hz",
        "borra la voz del estribillo",
        "I deleted the vocal track by accident, can you undo that",
        "borré la pista de voz sin querer",
        "si borras el archivo de voz me muero",
        "before deleting the stems, export them",
        "don't delete the drums file, just mute it",
        "no elimines la pista, solo silénciala",
        "what happens if I delete the project?",
        "was the kick track deleted?",
        "delete the reverb",
        "erase the mud in the guitar track",
        "elimina los clics de la pista de voz",
        "kill the hiss on track 2",
        "borra los graves de la toma de voz",
        "remove the vocal from the mix",
        "wipe the low end off the keys stem",
        "throw out the highs on the bass track",
        "nuke the 60 Hz hum",
        "destroy the snare with compression",
        "borra el eco del archivo",
        "elimina el silencio inicial del archivo",
        "delete the first 10 seconds of the file",
        "borra lo último",
        "delete last change",
        "trash that last edit",
        "get rid of the vocal reverb",
        "quita la pista de piano del estribillo",
        "drop the drums in the bridge",
        "lose the bass for the intro",
        "elimina todo el ruido",
        "erase everything below 40 Hz",
        "borra todo lo que pase de 15k en la pista de bajo",
        "delete the harshness from every track",
        "tira la voz un poco a la izquierda",
        "tira de la voz hacia arriba",
        "scrap that idea, undo it",
        "I want to delete nothing",
    ],
)  # fmt: skip
def test_harmless_words_of_deletion_delete_nothing(command: str) -> None:
    assert "delete" not in {action.action for action in answer(command).actions}


@pytest.mark.parametrize(
    "command", ["borra el archivo voz.wav", "delete the vocal track", "elimina el proyecto", "delete all the stems"]
)
def test_an_explicit_deletion_is_one_and_waits_for_confirmation(command: str) -> None:
    told = answer(command)
    assert [action.action for action in told.actions] == ["delete"]
    assert "destructive_requires_confirmation" in {warning.code for warning in told.warnings}


def test_a_value_that_no_effect_can_have_is_kept_and_told() -> None:
    told = answer("comprime la voz con ratio 500:1")
    (action,) = told.actions
    assert action.params["ratio"] == 500.0
    assert "ratio" not in action.effects[0] or action.effects[0]["ratio"] != 500.0
    assert {"value_not_used", "ratio_is_limiting"} <= {warning.code for warning in told.warnings}


def test_confidence_is_a_share() -> None:
    for command in ("sube la voz", "hazlo mejor", "qué tiempo hace", "más"):
        assert 0.0 <= answer(command).confidence <= 1.0


PHRASES = [
    line.split(" => ") for line in Path(__file__).with_name("phrases.txt").read_text(encoding="utf-8").splitlines()
]


def told(command: str) -> str:
    """The actions of a command in one line: `set_mix: vocal; undo`."""
    actions = answer(command).actions
    return "; ".join(one.action + (": " + ", ".join(one.targets) if one.targets else "") for one in actions)


def test_commands_of_many_styles_stay_as_they_are_read() -> None:
    changed = [f"{command} => {told(command)}" for command, wanted in PHRASES if told(command) != wanted]
    assert not changed


@pytest.mark.parametrize(
    "piece", ["+3 @ 60, -4 @ 350, ", "la voz y el bajo y ", "3 dB en 200 Hz ", "sube la voz 3 dB y "]
)
def test_no_order_holds_more_than_can_be_looked_at_quickly(piece: str) -> None:
    clauses = clauses_of(scan((piece * 4_000)[:4_000]))
    assert max(len(clause.items) for clause in clauses) <= 2 * MOST_ITEMS  # all that looks twice stays within one order
