"""What is said of measures: in both languages, against every target."""

from typing import Any, get_args

import pytest

from config.contracts.shub import Target
from config.contracts.shub_analysis import (
    AudioAnalysis,
    Clipping,
    MusicalKey,
    Place,
    Silences,
    Stereo,
    Tempo,
    TonalBalance,
    Verdict,
)
from shub.targets import TARGETS
from shub.verdicts import verdicts_of

BALANCED = TonalBalance(
    low_db=1.0, low_mid_db=-1.0, mid_db=0.5, high_mid_db=-2.0, high_db=2.0, centroid_hz=2_000.0, tilt_db_per_octave=-4.8
)
TOGETHER = Stereo(
    correlation=0.7, lowest_correlation=0.2, width=0.15, balance_db=0.1, mono_loss_db=0.7, low_end_correlation=0.98
)
FINE: dict[str, Any] = {
    "asset_id": "asset_1",
    "target": "spotify",
    "duration_seconds": 180.0,
    "sample_rate_hz": 44_100,
    "channels": 2,
    "integrated_lufs": -14.2,
    "loudness_range_lu": 6.0,
    "max_momentary_lufs": -9.0,
    "max_short_term_lufs": -11.0,
    "true_peak_dbtp": -1.1,
    "sample_peak_dbfs": -1.3,
    "peak_to_loudness_lu": 13.1,
    "rms_dbfs": -16.0,
    "crest_factor_db": 14.0,
    "dc_offset": [0.0, 0.0],
    "noise_floor_dbfs": -65.0,
    "clipping": Clipping(count=0, samples=0, places=[]),
    "silences": Silences(count=0, total_seconds=0.0, leading_seconds=0.0, trailing_seconds=0.0, places=[]),
    "tonal_balance": BALANCED,
    "stereo": TOGETHER,
    "tempo": Tempo(bpm=126.0, confidence=0.9),
    "key": MusicalKey(name="A minor", confidence=0.8, tuning_hz=440.0),
}


def said(**changes: Any) -> dict[str, Verdict]:
    return {one.measure: one for one in verdicts_of(AudioAnalysis(**(FINE | changes)))}


def test_a_good_master_is_good_in_everything():
    found = said()
    assert {one.verdict for one in found.values()} == {"good"}
    assert set(found) >= {"integrated_lufs", "true_peak_dbtp", "clipping", "tonal_balance", "stereo", "tempo", "key"}
    assert set(found) <= set(AudioAnalysis.model_fields)
    assert all(one.text and one.text_es and one.text != one.text_es for one in found.values())


@pytest.mark.parametrize("target", get_args(Target))
def test_every_target_takes_what_is_made_for_it(target):
    aim = TARGETS[target]
    lufs = -9.0 if aim.target_lufs is None else aim.target_lufs
    found = said(target=target, integrated_lufs=lufs, true_peak_dbtp=aim.ceiling_dbtp)
    assert found["integrated_lufs"].verdict == found["true_peak_dbtp"].verdict == "good"
    over = said(target=target, integrated_lufs=lufs, true_peak_dbtp=aim.ceiling_dbtp + 0.2)
    assert over["true_peak_dbtp"].verdict != "good"
    assert aim.source


@pytest.mark.parametrize(
    ("target", "lufs", "verdict"),
    [
        ("spotify", -9.0, "notice"),
        ("spotify", -19.0, "notice"),
        ("ebu_r128", -22.6, "good"),
        ("ebu_r128", -22.0, "problem"),
        ("ebu_r128", -24.0, "problem"),
        ("atsc_a85", -25.5, "good"),
        ("atsc_a85", -21.0, "problem"),
        ("cd", -7.0, "good"),
        ("podcast", None, "problem"),
    ],
)
def test_loudness_is_judged_by_the_rules_of_the_place(target, lufs, verdict):
    found = said(target=target, integrated_lufs=lufs)["integrated_lufs"]
    assert found.verdict == verdict
    assert found.value == lufs


def test_words_carry_the_numbers_with_the_comma_of_the_language():
    found = said(integrated_lufs=-9.3)["integrated_lufs"]
    assert "-9.3 LUFS" in found.text
    assert "4.7" in found.text
    assert "-9,3 LUFS" in found.text_es
    assert found.wanted == "-14.0 ± 1 LUFS"


@pytest.mark.parametrize(
    ("changes", "measure", "verdict", "word", "word_es"),
    [
        ({"true_peak_dbtp": 0.6}, "true_peak_dbtp", "problem", "distorts", "distorsiona"),
        ({"peak_to_loudness_lu": 6.0}, "peak_to_loudness_lu", "notice", "limited", "limitado"),
        ({"peak_to_loudness_lu": 18.0}, "peak_to_loudness_lu", "good", "5.0 dB", "limitador"),
        ({"loudness_range_lu": 22.0}, "loudness_range_lu", "notice", "wide", "amplio"),
        ({"dc_offset": [0.0, -0.02]}, "dc_offset", "notice", "2.00 %", "2,00 %"),
        ({"noise_floor_dbfs": -42.0}, "noise_floor_dbfs", "notice", "high", "alto"),
        ({"tonal_balance": BALANCED.model_copy(update={"low_mid_db": 6.0})}, "tonal_balance", "notice", "low mids", "medios graves"),
        ({"stereo": TOGETHER.model_copy(update={"mono_loss_db": 9.0})}, "stereo", "problem", "mono", "mono"),
        ({"stereo": TOGETHER.model_copy(update={"low_end_correlation": 0.1})}, "stereo", "notice", "120 Hz", "graves"),
        ({"stereo": TOGETHER.model_copy(update={"balance_db": -4.0})}, "stereo", "notice", "right", "derecho"),
        ({"stereo": TOGETHER.model_copy(update={"balance_db": None})}, "stereo", "notice", "silent", "silencio"),
        ({"key": MusicalKey(name="F# minor", confidence=0.5)}, "key", "good", "F# minor", "Fa sostenido menor"),
        ({"key": MusicalKey(name=None, confidence=0.0)}, "key", "good", "No key", "tonalidad"),
        ({"tempo": Tempo(bpm=None, confidence=0.0)}, "tempo", "good", "No steady", "pulso"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(changes, measure, verdict, word, word_es):
    found = said(**changes)[measure]
    assert found.verdict == verdict
    assert word in found.text
    assert word_es in found.text_es


def test_clipping_tells_how_often_and_where_first():
    places = [Place(start_seconds=83.25, duration_seconds=0.01, channel=0)]
    found = said(clipping=Clipping(count=12, samples=50, places=places))["clipping"]
    assert found.verdict == "problem"
    assert "12 times (50 samples), first at 1:23.2" in found.text
    assert "12 veces (50 muestras), la primera en 1:23,2" in found.text_es
    assert " once (3 samples)" in said(clipping=Clipping(count=1, samples=3, places=places))["clipping"].text


def test_what_is_missing_from_the_spectrum_is_named_without_its_number():
    whistle = TonalBalance(
        low_db=-60.0,
        low_mid_db=-60.0,
        mid_db=6.0,
        high_mid_db=-60.0,
        high_db=-60.0,
        centroid_hz=900.0,
        tilt_db_per_octave=None,
    )
    found = said(tonal_balance=whistle)["tonal_balance"]
    assert found.text.startswith("Against a balanced programme: +6.0 dB of mids")
    assert "hardly any lows" in found.text
    assert "-60" not in found.text
    assert "casi nada en los graves" in found.text_es


def test_the_softest_music_is_not_called_noise_where_there_are_clean_pauses():
    pauses = Silences(count=3, total_seconds=4.0, leading_seconds=0.0, trailing_seconds=0.0, places=[])
    assert "clean" in said(silences=pauses, noise_floor_dbfs=-40.0)["noise_floor_dbfs"].text
    assert "never quiet" in said(noise_floor_dbfs=-25.0)["noise_floor_dbfs"].text


def test_silence_around_and_throughout_is_told():
    around = Silences(count=2, total_seconds=7.0, leading_seconds=3.0, trailing_seconds=4.0, places=[])
    assert said(silences=around)["silences"].verdict == "notice"
    whole = Silences(count=1, total_seconds=180.0, leading_seconds=180.0, trailing_seconds=180.0, places=[])
    assert said(silences=whole)["silences"].verdict == "problem"


def test_without_details_only_what_was_measured_is_judged():
    missing = dict.fromkeys(
        (
            "rms_dbfs",
            "crest_factor_db",
            "dc_offset",
            "noise_floor_dbfs",
            "clipping",
            "silences",
            "tonal_balance",
            "stereo",
            "tempo",
            "key",
        )
    )
    assert set(said(**missing)) == {"integrated_lufs", "true_peak_dbtp", "loudness_range_lu", "peak_to_loudness_lu"}
