"""What stems are taken for, what files are called, and what a result warns of."""

import pytest

from config.contracts.shub import MixRequest, StemRole
from config.errors import InvalidRequest
from shub import policy, roles
from shub.mix_policy import refuse_impossible_mix, warnings_of_mix


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("voz.wav", "vocal"),
        ("Voz Principal 2.WAV", "vocal"),
        ("lead_vox-take3.flac", "vocal"),
        ("coro_voces.wav", "backing_vocal"),
        ("Batería.wav", "drums"),
        ("drums.flac", "drums"),
        ("bass drum.wav", "kick"),
        ("bombo.wav", "kick"),
        ("caja_01.wav", "snare"),
        ("Hi-Hat.wav", "hats"),
        ("bajo.wav", "bass"),
        ("808.wav", "bass"),
        ("Guitarra acústica.wav", "guitar"),
        ("lead guitar.wav", "lead"),
        ("piano.wav", "piano"),
        ("synth pad.wav", "keys"),
        ("cuerdas.wav", "strings"),
        ("fx.riser.wav", "fx"),
        ("stem1.wav", "other"),
        ("bassoonist-notes.wav", "other"),
        ("", "other"),
    ],
)
def test_a_name_speaks_of_its_role(name, role):
    assert roles.role_of(None, name) == (StemRole(role), "unknown" if role == "other" else "name")


def test_what_was_asked_for_wins_over_the_name():
    assert roles.role_of(StemRole.FX, "voz.wav") == (StemRole.FX, "request")


def test_every_role_has_a_level_and_the_voice_is_in_front():
    assert set(policy.ROLE_LOUDNESS_LUFS) == set(StemRole)
    assert max(policy.ROLE_LOUDNESS_LUFS, key=policy.ROLE_LOUDNESS_LUFS.__getitem__) is StemRole.VOCAL
    assert set(roles.ROLE_WORDS) == set(StemRole) - {StemRole.OTHER}


@pytest.mark.parametrize(
    ("asked", "format_", "name"),
    [
        (None, "wav", "mix.wav"),
        ("canción", "flac", "canción.flac"),
        ("a.WAV", "wav", "a.WAV"),
        ("a.wav", "flac", "a.wav.flac"),
    ],
)
def test_a_file_is_called_as_asked_with_the_ending_of_its_format(asked, format_, name):
    assert policy.file_name(asked, "mix", format_) == name


def test_flac_has_no_floating_point():
    with pytest.raises(InvalidRequest, match="bit_depth"):
        refuse_impossible_mix(MixRequest(stems=[{"asset_id": "x"}], format="flac", bit_depth=32))


def test_a_clean_mix_warns_of_nothing_and_an_unclean_one_of_each_thing():
    order = {"stems": [{"name": "a"}, {"name": "b"}], "target_lufs": -14.0, "ceiling_dbtp": -1.0}
    stem = {"integrated_lufs": -20.0, "mixed_lufs": -20.0, "gain_db": 1.0, "is_clamped": False}
    fine = {
        "stems": [stem, stem],
        "loudness": {"integrated_lufs": -14.0, "true_peak_dbtp": -1.1},
        "shortfall_lu": 0.0,
        "limiter_reduction_db": 2.0,
    }
    assert warnings_of_mix(order, fine) == []
    unclean = fine | {
        "stems": [stem | {"integrated_lufs": None}, stem | {"gain_db": 48.0, "is_clamped": True}],
        "loudness": {"integrated_lufs": -16.5, "true_peak_dbtp": -0.8},
        "shortfall_lu": 2.5,
        "limiter_reduction_db": 9.0,
    }
    found = {warning.code: warning for warning in warnings_of_mix(order, unclean)}
    told = ["stem_silent", "gain_out_of_range", "loudness_shortfall", "heavy_limiting", "peak_above_ceiling"]
    assert list(found) == told
    assert "2.5 LU below -14 LUFS" in found["loudness_shortfall"].text
    assert "2.5 LU por debajo de -14 LUFS" in (found["loudness_shortfall"].text_es or "")
