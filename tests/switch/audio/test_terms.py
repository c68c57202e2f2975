"""What counts as being about audio, and what is read in it."""

import pytest

from switch.audio import advice
from switch.audio.interpreter import Interpretation
from switch.audio.mode import AudioMode, merged
from switch.audio.parameters import read
from switch.audio.terms import look
from tests.switch.audio.sentences import ABOUT_AUDIO, NOT_ABOUT_AUDIO


def test_audio_is_told_from_everything_else():
    right = [text for text in ABOUT_AUDIO if look(text).is_audio]
    wrong = [text for text in NOT_ABOUT_AUDIO if look(text).is_audio]
    assert len(right) / len(ABOUT_AUDIO) >= 0.9, sorted(set(ABOUT_AUDIO) - set(right))
    assert len(right) / (len(right) + len(wrong)) >= 0.9, wrong


@pytest.mark.parametrize(
    "word", ["mix", "gate", "delay", "filter", "master", "mezcla", "filtro", "puerta", "bus", "peak"]
)
def test_an_everyday_word_alone_is_not_about_audio(word):
    assert not look(word).is_audio
    assert not look(f"tell me about the {word}").is_audio


@pytest.mark.parametrize(
    "text", ["subcompresores de datos", "remasterclass", "the flacs of history", "gatekeeper", "delayed mixture"]
)
def test_terms_are_whole_words(text):
    assert not look(text).is_audio


def test_accents_and_case_do_not_matter():
    assert look("ECUALIZACIÓN de la VOZ").terms == look("ecualizacion de la voz").terms != ()


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("masteriza a −14 LUFS con techo de -1 dBTP", {"target_lufs": -14.0, "ceiling_dbtp": -1.0}),
        ("exporta en WAV a 24 bits y 44,1 kHz", {"format": "wav", "bit_depth": 24, "sample_rate_hz": 44_100}),
        ("sample rate 22050 Hz, mono", {"sample_rate_hz": 22_050, "channels": 1}),
        ("corta 3 dB en 300 Hz", {"gain_db": -3.0, "frequency_hz": 300.0}),
        ("boost 2.5 dB at 10 kHz", {"gain_db": 2.5, "frequency_hz": 10_000.0}),
        (
            "ratio 4:1, threshold -18 dB, attack 5 ms, release 0.2 s",
            {"ratio": 4.0, "threshold_db": -18.0, "attack_ms": 5.0, "release_ms": 200.0},
        ),
        ("ratio de 4 a 1 y ataque de 20 ms", {"ratio": 4.0, "attack_ms": 20.0}),
        ("30 ms pre-delay and a delay of 350 ms", {"pre_delay_ms": 30.0, "delay_ms": 350.0}),
        ("convert the wav to mp3 at 320 kbps", {"format": "mp3", "bitrate_kbps": 320}),
        ("a 120 bpm en estéreo", {"tempo_bpm": 120, "channels": 2}),
    ],
)
def test_numbers_are_read_with_their_units(text, parameters):
    found = read(text)
    assert found.parameters == parameters
    assert found.impossible == []


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("master to 14 LUFS", {"target_lufs"}, "did you mean -14 LUFS?"),
        ("masteriza con techo de 1 dBTP", {"ceiling_dbtp"}, "¿-1 dBTP?"),
        ("export at 12 bit and 500 kHz", {"bit_depth", "sample_rate_hz"}, "16, 24 or 32"),
        ("un ratio de 400:1", {"ratio"}, "de 1 a 100"),
        ("masteriza a -90 LUFS", {"target_lufs"}, "-70"),
    ],
)
def test_what_cannot_be_is_a_warning_and_no_parameter(text, names, said):
    found = read(text)
    assert {name for name, _ in found.impossible} == names
    assert not names & set(found.parameters)
    assert said in " ".join(advice.warnings(text, found, advice.language_of(text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("masteriza a -5 LUFS", "muy alto"),
        ("master at -5 LUFS", "very loud"),
        ("limit the master to -0.1 dBTP", "EBU R 128"),
        ("comprime la voz con un ratio de 20:1", "dinámica"),
        ("boost the vocals by 15 dB", "clip"),
        ("the mix is clipping", "undone"),
        ("hay demasiados graves en la mezcla", "graves excesivos"),
        ("bounce the song to mono", "mono compatibility"),
        ("convert the song to 16 bit", "dither"),
        ("export the stems as mp3", "lossy"),
    ],
)
def test_what_is_risky_is_said_in_the_language_of_the_request(text, said):
    found = read(text)
    assert said in " ".join(advice.warnings(text, found, advice.language_of(text)))


def test_nothing_risky_is_not_warned_of():
    text = "master this song at -14 LUFS with a ceiling of -1 dBTP"
    assert advice.warnings(text, read(text), "en") == []


class NoShub:
    async def interprets(self) -> bool:
        raise AssertionError("reading needs no shub")

    async def interpret(self, command: str) -> Interpretation:
        raise AssertionError


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("mezcla estos stems", "mix_command"),
        ("master this track", "master_command"),
        ("añade reverb a la voz", "effect_command"),
        ("exporta la mezcla en FLAC", "export_command"),
        ("measure the loudness of this song", "analysis_command"),
        ("¿para qué sirve un de-esser?", "question"),
    ],
)
def test_the_kind_of_order_decides_what_is_advised(text, command):
    reading = AudioMode(NoShub()).reading(text, "owner")
    assert reading is not None
    assert reading.command_type == command
    assert bool(reading.suggested_actions) == bool(reading.recommendations) == (command != "question")
    assert all("(" in one or "ITU" in one for one in reading.recommendations)  # with their sources


def test_shub_is_never_read_and_an_active_mode_reads_everybody_else():
    audio = AudioMode(NoShub())
    assert audio.reading("masteriza esta canción a -14 LUFS", "shub") is None
    assert audio.reading("¿qué hora es?", "owner") is None
    audio.activate(True)
    assert audio.reading("masteriza esta canción a -14 LUFS", "shub") is None
    assert audio.reading("¿qué hora es?", "owner") is not None


def test_the_prompt_has_the_studios_defaults_where_nothing_else_is_said():
    audio = AudioMode(NoShub())
    plain, asked = (audio.reading(text, "owner") for text in ("masteriza esto", "masteriza a 96 kHz y 32 bits"))
    assert plain is not None
    assert asked is not None
    assert "44.1 kHz, 24 bit, stereo" in audio.prompt(plain)
    assert "96 kHz, 32 bit, stereo" in audio.prompt(asked)


def test_what_shub_understands_goes_before_our_own_reading():
    reading = AudioMode(NoShub()).reading("sube 3 dB la voz y masteriza a -14 LUFS", "owner")
    assert reading is not None
    found = Interpretation.model_validate(
        {
            "actions": [{"action": "apply_effects", "targets": ["vocal"], "effects": [{"type": "gain", "gain_db": 3}]}],
            "warnings": [{"code": "x", "text": "from shub"}],
        }
    )
    better = merged(reading, found)
    assert (better.source, better.command_type) == ("shub", "effect_command")
    assert better.parameters["targets"] == ["vocal"]
    assert better.parameters["target_lufs"] == -14.0
    assert better.warnings[0] == "from shub"
    unknown = Interpretation.model_validate({"actions": [{"action": "not_audio"}]})
    assert merged(reading, unknown).source == "terms"


@pytest.mark.parametrize(
    "text", ["sube" + " -" * 2000, "sube -" * 700, "mix " + "a-" * 2000, "boost " * 660, "1" * 4000]
)
def test_no_text_keeps_reading_from_its_end(text):
    """With patterns that can be matched in many ways these took minutes."""
    assert not look(text).terms or look(text).terms == ("mix",)
    assert read(text).parameters == {}
