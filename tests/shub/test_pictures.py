"""Pictures through the HTTP API: drawn, kept, bounded, gone with their file."""

import io
from typing import Any

import numpy as np
import pytest

from tests.shub.conftest import problem
from tests.shub.files import BAD_INSIDE, RATE, good, tone
from tests.shub.music import song
from tests.shub.signals import sine, stereo, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ["waveform", "spectrogram", "loudness"]


def pixels(content: bytes) -> np.ndarray:
    """Rows by columns by red, green, blue, from 0 to 1."""
    from matplotlib.image import imread  # brings in much that only the workers of these tests need

    return np.asarray(imread(io.BytesIO(content), format="png"))[:, :, :3]


def is_red(image: np.ndarray) -> np.ndarray:
    return (image[:, :, 0] > 0.6) & (image[:, :, 1] < 0.45) & (image[:, :, 2] < 0.45)


async def picture(shub, asset: dict[str, Any], kind: str, **options: Any) -> bytes:
    answer = await shub.http.get(f"/shub/assets/{asset['asset_id']}/pictures/{kind}.png", params=options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return answer.content


def kept(shub) -> list[str]:
    return sorted(path.name for path in (shub.settings.state_dir / "shub" / "pictures").glob("??/*"))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_picture_has_the_size_that_was_asked_for_and_shows_something(shub, tmp_path, kind):
    asset = await shub.upload(write(tmp_path / "Mi $canción$ 🎤.wav", song(), 44_100, "PCM_24"))
    image = pixels(await picture(shub, asset, kind, width=640, height=240))
    assert image.shape == (240, 640, 3)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
    assert pixels(await picture(shub, asset, kind)).shape == (400, 1200, 3)
    assert shub.unfinished() == []


async def test_the_paths_of_the_pictures_stand_in_the_analysis(shub, tmp_path):
    asset = await shub.upload(good("wav16", tmp_path / "x.wav"))
    body = {"asset_id": asset["asset_id"], "target": "ebu_r128", "details": False}
    paths = (await shub.http.post("/shub/analyze", json=body)).json()["pictures"]
    assert sorted(paths) == sorted(KINDS)
    for path in paths.values():
        assert (await shub.http.get(path)).headers["content-type"] == "image/png"
    assert paths["loudness"].endswith("?target=ebu_r128")


async def test_a_picture_is_drawn_once(shub, tmp_path):
    asset = await shub.upload(write(tmp_path / "x.wav", tone(1, 0.31), RATE, "PCM_16"))
    first = await picture(shub, asset, "waveform", width=400, height=200)
    (file,) = (shub.settings.state_dir / "shub" / "pictures").glob(f"??/{asset['sha256']}-*")
    file.write_bytes(b"what is kept")
    assert await picture(shub, asset, "waveform", width=400, height=200) == b"what is kept"
    file.unlink()
    assert await picture(shub, asset, "waveform", width=400, height=200) == first  # to the byte


async def test_clipped_places_are_red_where_they_are(shub, tmp_path):
    loud = stereo(np.concatenate([sine(RATE, 3.0, -12.0), np.clip(2 * sine(RATE, 1.0, 0.0), -1, 1)]))
    image = pixels(await picture(shub, await shub.upload(write(tmp_path / "x.wav", loud, RATE, "PCM_16")), "waveform"))
    red = np.flatnonzero(is_red(image).any(axis=0))
    panel = 1200 - 58 - 26
    assert red.size > 100
    assert red.min() >= 58 + 0.74 * panel
    clean = pixels(
        await picture(shub, await shub.upload(write(tmp_path / "y.wav", loud / 4, RATE, "FLOAT")), "loudness")
    )
    assert clean.shape == (400, 1200, 3)


async def test_a_tone_is_a_line_at_its_frequency_in_the_spectrogram(shub, tmp_path):
    asset = await shub.upload(write(tmp_path / "x.wav", stereo(sine(48_000, 3.0, -10.0, 1_000.0)), 48_000, "PCM_24"))
    image = pixels(await picture(shub, asset, "spectrogram"))
    brightest = int(image[56:370, 300:900].sum(axis=(1, 2)).argmax()) + 56
    expected = 54 + (400 - 54 - 28) * (1 - np.log(1_000 / 20) / np.log(20_000 / 20))
    assert brightest == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("make", ["silence", "one sample", "six channels", "mp3"])
async def test_odd_sounds_are_drawn_too(shub, tmp_path, make):
    path = tmp_path / "x"
    match make:
        case "silence":
            write(path, np.zeros((RATE, 2)), RATE, "PCM_16", format="WAV")
        case "one sample":
            write(path, np.full((1, 1), 0.4), RATE, "PCM_16", format="WAV")
        case "six channels":
            write(path, tone(6, 0.5), RATE, "PCM_16", format="WAVEX")
        case "mp3":
            good("mp3", path)
    asset = await shub.upload(path)
    for kind in KINDS:
        assert pixels(await picture(shub, asset, kind, width=320, height=200)).shape == (200, 320, 3)


async def test_what_cannot_be_drawn_is_a_clear_4xx(shub, tmp_path):
    problem(await shub.http.get("/shub/assets/nope/pictures/waveform.png"), 404, "asset_not_found")
    asset = await shub.upload(good("flac", tmp_path / "x.flac"))
    path = f"/shub/assets/{asset['asset_id']}/pictures"
    for wrong in ("scope.png", "waveform.png?width=100000", "waveform.png?height=5", "loudness.png?target=vinyl"):
        problem(await shub.http.get(f"{path}/{wrong}"), 422, "invalid_request")
    broken = await shub.upload(BAD_INSIDE["a NaN"][1](tmp_path / "y"))
    answer = await shub.http.get(f"/shub/assets/{broken['asset_id']}/pictures/waveform.png")
    problem(answer, 422, "not_finite_audio")


async def test_pictures_go_with_their_file_old_ones_at_the_next_start_and_beyond_the_limit_those_not_looked_at(
    shub_at, tmp_path
):
    async with shub_at() as shub:
        asset = await shub.upload(write(tmp_path / "x.wav", tone(1, 0.3), RATE, "PCM_16"))
        other = await shub.upload(write(tmp_path / "y.wav", tone(1, 0.4), RATE, "PCM_16"))
        for one in (asset, other):
            await picture(shub, one, "waveform", width=320, height=200)
        assert len(kept(shub)) == 2
        mine = {
            "X-VX11-Token": shub.secrets.fleet.get_secret_value(),
            "X-VX11-Caller": "token:1",
            "X-VX11-Scopes": "shub:delete",
        }
        assert (await shub.http.delete(f"/shub/assets/{asset['asset_id']}", headers=mine)).status_code == 200
        (left,) = kept(shub)
        folder = shub.settings.state_dir / "shub" / "pictures" / left[:2]
        (folder / left.replace("-v", "-v0")).write_bytes(b"drawn long ago")
        (folder / left.replace(left[:64], "0" * 64)).write_bytes(b"of a file that is gone")
    async with shub_at(shub_pictures_limit_bytes=20_000) as shub:
        assert kept(shub) == [left]
        sizes = [len(await picture(shub, other, "waveform", width=320, height=200 + i)) for i in range(6)]
        assert sum(sizes) > 20_000
        held = {name.split("-")[2] for name in kept(shub)}
        assert "320x205" in held
        assert "320x200" not in held
