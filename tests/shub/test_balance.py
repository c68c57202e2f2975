"""What is proposed for a mix, of measurements alone."""

from typing import Any

import pytest

from config.contracts.shub import MixRequest, StemRole
from shub.balance import IMPORTANT_HZ, IN_THE_MIDDLE, LOW_CUT_HZ, PRIORITY, WIDTHS, HeardStem, propose
from shub.dsp.spectrum import THIRD_OCTAVES

FLAT = dict.fromkeys(THIRD_OCTAVES, -30.0)


def heard(name: str, role: str, level: float = -24.0, **more: Any) -> HeardStem:
    values: dict[str, Any] = {"integrated_lufs": -20.0, "thirds_db": FLAT, "centroid_hz": 1000.0} | more
    return HeardStem(name=name, role=role, level_lufs=level, **values)


def only(low: float, high: float) -> dict[float, float]:
    return {hz: -20.0 if low <= hz <= high else -80.0 for hz in THIRD_OCTAVES}


def test_every_role_has_a_priority_and_a_place():
    roles = {role.value for role in StemRole}
    assert set(PRIORITY) == roles
    assert set(IN_THE_MIDDLE) | set(WIDTHS) == roles
    assert set(IMPORTANT_HZ) <= roles
    assert set(LOW_CUT_HZ) <= roles
    assert all(80.0 <= hz <= 120.0 for hz in LOW_CUT_HZ.values())


def test_what_carries_the_song_stays_in_the_middle_and_the_rest_is_spread_to_both_sides():
    stems = [heard(role, role) for role in ("vocal", "kick", "bass", "snare", "lead")]
    stems += [heard("gtr 1", "guitar", centroid_hz=900.0), heard("gtr 2", "guitar", centroid_hz=1200.0)]
    stems += [heard("keys", "keys", centroid_hz=800.0), heard("hats", "hats", centroid_hz=8000.0)]
    changes = propose(stems, pan=True, masking=False).changes
    places = {stem.name: change.pan for stem, change in zip(stems, changes, strict=True)}
    assert [places[name] for name in ("vocal", "kick", "bass", "snare", "lead")] == [0.0] * 5
    assert places["gtr 1"] == -places["gtr 2"] == -0.6
    assert places["keys"] * places["hats"] < 0
    assert all(abs(place) <= 0.6 for place in places.values())  # nothing goes hard to one side
    assert all(change.effects == () for change in changes)


def test_a_second_pair_stands_inside_of_the_first_stereo_moves_half_as_far_and_what_was_said_stays():
    stems = [heard(f"bgv {n}", "backing_vocal", centroid_hz=float(n)) for n in range(4)]
    stems += [
        heard("wide", "pad", is_stereo=True),
        heard("put", "pad", is_placed=True),
        heard("off", "fx", is_muted=True),
    ]
    balance = propose(stems, pan=True, masking=False)
    first, second = balance.changes[0].pan, balance.changes[2].pan
    assert first is not None
    assert second is not None
    assert abs(second) < abs(first)
    assert abs(balance.changes[4].pan or 0.0) == 0.25
    assert balance.changes[5].pan is None
    assert balance.changes[6].pan is None
    assert {reason.stem for reason in balance.reasons} == {stem.name for stem in stems[:5]}


def test_a_pad_that_covers_the_voice_gives_way_gently_and_the_voice_never_does():
    stems = [heard("voz", "vocal", -20.0), heard("pad", "pad", -18.0)]
    voice, pad = propose(stems, pan=False, masking=True).changes
    cuts = [effect for effect in pad.effects if effect["type"] == "eq_peak"]
    assert voice.effects == ()
    assert cuts
    assert all(-4.0 <= cut["gain_db"] <= -1.0 and cut["q"] == 1.0 for cut in cuts)
    assert any(1000.0 <= cut["freq_hz"] <= 4000.0 for cut in cuts)
    reasons = [reason for reason in propose(stems, pan=False, masking=True).reasons if reason.code == "masking_cut"]
    assert all(reason.stem == "pad" and "voz" in reason.text for reason in reasons)
    assert len(reasons) == len(cuts)


@pytest.mark.parametrize(
    "pad",
    [
        heard("pad", "pad", -34.0),
        heard("pad", "pad", -18.0, thirds_db=only(6000, 16000)),
        heard("pad", "pad", is_muted=True),
    ],
    ids=["it is far softer", "it sounds elsewhere", "it is muted"],
)
def test_who_covers_nobody_is_left_alone(pad):
    assert propose([heard("voz", "vocal", -20.0), pad], pan=True, masking=True).changes[1].effects == ()


def test_the_low_end_is_left_to_those_who_live_there():
    stems = [
        heard("bajo", "bass", thirds_db=only(40, 200)),
        heard("gtr", "guitar", -40.0, thirds_db=only(60, 8000)),
        heard("deep pad", "pad", -40.0, thirds_db=only(25, 80)),
        heard("cut pad", "pad", -40.0, has_low_cut=True),
    ]
    bass, guitar, deep, cut = propose(stems, pan=False, masking=True).changes
    assert bass.effects == ()
    assert guitar.effects == ({"type": "highpass", "freq_hz": 80.0, "slope_db_oct": 12},)
    assert not any(effect["type"] == "highpass" for effect in (*deep.effects, *cut.effects))
    alone = propose(stems[1:2], pan=False, masking=True).changes[0]
    assert alone.effects == ()  # nobody needs the room


def test_what_is_proposed_is_what_an_order_takes():
    balance = propose([heard("voz", "vocal"), heard("pad", "pad", -12.0)], pan=True, masking=True)
    stems = [{"asset_id": "x", "pan": change.pan, "chain": list(change.effects)} for change in balance.changes]
    again = MixRequest.model_validate({"stems": stems}).model_dump()["stems"]
    assert [one["chain"] for one in again] == [list(change.effects) for change in balance.changes]
