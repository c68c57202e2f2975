"""Files through the HTTP API: in, out, listed, refused. Deleting has a file of its own."""

import asyncio
import errno
import hashlib
import io
from collections.abc import AsyncIterator

import httpx
import pytest
import soundfile

from config.contracts.shub import Asset
from tests.shub.conftest import problem
from tests.shub.files import BAD, GOOD, RATE, good, tone
from tests.shub.signals import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDINGS = {"rf64": "wav", "flac": "flac", "mp3": "mp3", "vorbis": "ogg"}


async def chunked(content: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("kind", GOOD)
async def test_every_kind_goes_in_by_form_and_comes_out_byte_for_byte(shub, tmp_path, kind):
    ending = ENDINGS.get(kind, "wav")
    content = good(kind, tmp_path / "x").read_bytes()
    answer = await shub.http.post("/shub/assets", files={"file": (f"Voz {kind}.{ending}", content)})
    assert answer.status_code in (200, 201), answer.text
    asset = Asset.model_validate(answer.json())
    assert asset.sha256 == hashlib.sha256(content).hexdigest()
    assert (asset.name, asset.format, asset.size_bytes) == (f"Voz {kind}.{ending}", ending, len(content))
    assert (asset.sample_rate_hz, asset.channels) == (RATE, 2)
    assert asset.provenance is None
    got = await shub.http.get(f"/shub/assets/{asset.asset_id}/content")
    assert got.content == content
    assert got.headers["content-type"] == {"mp3": "audio/mpeg"}.get(ending, f"audio/{ending}")
    assert got.headers["etag"] == f'"{asset.sha256}"'
    assert kind in got.headers["content-disposition"]
    assert (await shub.http.get(f"/shub/assets/{asset.asset_id}")).json() == answer.json()


async def test_the_body_itself_may_be_the_file_in_chunks_of_any_size(shub, tmp_path):
    content = write(tmp_path / "x.wav", tone(1, 0.2), RATE, "PCM_16").read_bytes()
    answer = await shub.http.post("/shub/assets", params={"name": "bajo.wav"}, content=chunked(content, 7))
    assert answer.status_code == 201
    assert answer.json()["name"] == "bajo.wav"
    assert answer.json()["size_bytes"] == len(content)


async def test_the_bare_path_of_the_module_is_the_same(shub, tmp_path):
    asset = await shub.upload(good("wav24", tmp_path / "x.wav"))
    assert (await shub.http.get(f"/assets/{asset['asset_id']}")).json() == asset


async def test_the_same_content_again_is_the_same_asset_under_any_name(shub, tmp_path):
    path = write(tmp_path / "x.wav", tone(1, 0.3), RATE, "PCM_16")
    first = await shub.http.post("/shub/assets", files={"file": ("one.wav", path.read_bytes())})
    held = shub.files()
    again = await shub.http.post("/shub/assets", files={"file": ("two.wav", path.read_bytes())})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert shub.files() == held
    assert shub.unfinished() == []


async def test_the_same_content_ten_times_at_once_is_kept_once(shub, tmp_path):
    content = write(tmp_path / "x.wav", tone(1, 0.4), RATE, "PCM_16").read_bytes()
    held = len(shub.files())
    answers = await asyncio.gather(
        *(shub.http.post("/shub/assets", params={"name": "x.wav"}, content=content) for _ in range(10))
    )
    assert {answer.json()["asset_id"] for answer in answers} == {answers[0].json()["asset_id"]}
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len(shub.files()) == held + 1


@pytest.mark.parametrize("name", [one for one in BAD if one != "seven hours"])
async def test_a_bad_file_gets_a_clear_4xx_and_is_not_kept(shub, tmp_path, name):
    code, make = BAD[name]
    content = make(tmp_path / "x").read_bytes()
    held = shub.files()
    for answer in (
        await shub.http.post("/shub/assets", files={"file": ("x", content)}),
        await shub.http.post("/shub/assets", content=chunked(content, 100_000)),
    ):
        expected = "upload_missing" if not content else code
        body = problem(answer, 415 if code == "unsupported_audio" else 422, expected)
        assert body["detail"]
        assert str(shub.settings.state_dir) not in body["detail"]
    assert shub.files() == held
    assert shub.unfinished() == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text", "text"),
        ("a picture", "picture"),
        ("video in RIFF", "AVI"),
        ("AAC", "AAC"),
        ("MP4", "convert it"),
        ("protected MP4", "DRM"),
        ("Windows Media", "WMA"),
        ("AIFF", "AIFF"),
        ("a ZIP archive", "unpack"),
        ("a web page", "download"),
        ("zeros", "zeros"),
        ("64 channels", "64 channels; at most 8"),
        ("half a WAV", "announces"),
        ("a rate of 4 kHz", "8000 to 192000 Hz"),
    ],
)
async def test_a_refusal_says_what_the_file_is_whatever_it_is_called(shub, tmp_path, name, told):
    content = BAD[name][1](tmp_path / "x").read_bytes()
    answer = await shub.http.post("/shub/assets", files={"file": ("song.wav", content)})
    assert told in answer.json()["detail"]


async def test_a_file_that_plays_too_long_is_refused(shub, tmp_path):
    path = write(tmp_path / "x.wav", tone(1, 401, 8_000), 8_000, "PCM_U8")
    body = problem(
        await shub.http.post("/shub/assets", files={"file": ("x", path.read_bytes())}), 422, "audio_too_long"
    )
    assert "400" in body["detail"]


async def test_a_name_that_promises_another_format_is_refused(shub, tmp_path):
    content = good("mp3", tmp_path / "x").read_bytes()
    body = problem(await shub.http.post("/shub/assets", files={"file": ("a.wav", content)}), 415, "mislabelled_audio")
    assert "MP3" in body["detail"]
    await shub.upload(tmp_path / "x", "a.mp3")  # nor does it help that the content is here already
    problem(await shub.http.post("/shub/assets", files={"file": ("a.wav", content)}), 415, "mislabelled_audio")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/voz.wav", "voz.wav"),
        ("C:\\audio\\voz.wav", "voz.wav"),
        ("voz\x07.wav", "voz.wav"),
        ("canción ñ 🎤.wav", "canción ñ 🎤.wav"),
        ("صوت.wav", "صوت.wav"),
        ("voz\u202egnp.wav", "vozgnp.wav"),
        ("a" * 300 + ".wav", "a" * 196 + ".wav"),
        ("'; DROP TABLE audio_assets; --.wav", "'; DROP TABLE audio_assets; --.wav"),
        ("...", "audio"),
        ("", "audio"),
    ],
)
async def test_names_are_kept_readable_and_harmless(shub, tmp_path, sent, kept):
    content = write(tmp_path / "x.wav", tone(1, 0.1) + len(sent) / 1e3 + len(kept) / 1e6, RATE, "PCM_24").read_bytes()
    answer = await shub.http.post("/shub/assets", params={"name": sent} if sent else {}, content=content)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == kept
    got = await shub.http.get(f"/shub/assets/{answer.json()['asset_id']}/content")
    assert got.content == content


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({}, b"", 422, "upload_missing"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422, "upload_missing"),
        ({"content-type": "multipart/form-data"}, b"--x--\r\n", 400, "upload_broken"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"not a form", 400, "upload_broken"),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF',
            400,
            "upload_broken",
        ),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            422,
            "upload_missing",
        ),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b"--x\r\nX-Long: " + b"y" * 100_000 + b"\r\n\r\n1\r\n--x--\r\n",
            400,
            "upload_broken",
        ),
    ],
)
async def test_a_body_without_a_whole_file_is_refused(shub, headers, content, status, code):
    problem(await shub.http.post("/shub/assets", headers=headers, content=content), status, code)
    assert shub.unfinished() == []


async def test_two_files_in_one_form_are_refused(shub, tmp_path):
    content = good("wav16", tmp_path / "x").read_bytes()
    answer = await shub.http.post("/shub/assets", files=[("file", ("a", content)), ("file", ("b", content))])
    assert "one at a time" in problem(answer, 400, "upload_broken")["detail"]


async def test_what_is_larger_than_the_limit_is_refused_with_and_without_a_declared_length(shub):
    big = b"RIFF" + bytes(4) + b"WAVE" + bytes(30_100_000)
    problem(await shub.http.post("/shub/assets", content=big), 413, "body_too_large")
    problem(await shub.http.post("/shub/assets", content=chunked(big, 500_000)), 413, "body_too_large")
    assert shub.unfinished() == []


async def test_a_full_disk_is_507_and_the_service_goes_on(shub, tmp_path, monkeypatch):
    """/dev/full is a disk that is full: the kernel refuses every byte."""
    path = write(tmp_path / "x.wav", tone(1, 0.6), RATE, "PCM_16")
    with monkeypatch.context() as patched:
        patched.setattr("shub.store._open", lambda _path: io.FileIO("/dev/full", "w"))
        answer = await shub.http.post("/shub/assets", files={"file": ("x.wav", path.read_bytes())})
        problem(answer, 507, "storage_full")
    assert (await shub.upload(path))["name"] == "x.wav"


class NearlyFull(io.FileIO):
    """Takes what fits, as a disk does, and refuses what comes after that."""

    room = 5_000

    def write(self, content):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(content[: self.room])
        self.room -= taken
        return taken


async def test_a_disk_that_takes_only_a_part_is_full_too(shub, tmp_path, monkeypatch):
    path = write(tmp_path / "x.mp3", tone(1, 2.0), RATE, format="MP3")
    assert path.stat().st_size > NearlyFull.room
    monkeypatch.setattr("shub.store._open", lambda path: NearlyFull(path, "x"))
    answer = await shub.http.post("/shub/assets", files={"file": ("x.mp3", path.read_bytes())})
    problem(answer, 507, "storage_full")
    assert not shub.unfinished()


async def test_lists_have_pages_and_filters(shub, tmp_path):
    made = [
        await shub.upload(write(tmp_path / f"pagina {i}.flac", tone(1, 0.1) * (i + 1) / 9, RATE, "PCM_16"))
        for i in range(5)
    ]
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "name": "PAGINA"} | ({"cursor": cursor} if cursor else {})
        page = (await shub.http.get("/shub/assets", params=params)).json()
        assert len(page["items"]) <= 2
        seen += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == made[::-1]
    mp3 = await shub.upload(good("mp3", tmp_path / "one.mp3"))
    assert (await shub.http.get("/shub/assets", params={"format": "mp3"})).json()["items"] == [mp3]
    assert (await shub.http.get("/shub/assets", params={"name": "%"})).json()["items"] == []
    assert (await shub.http.get("/shub/assets", params={"format": "aiff"})).status_code == 422


async def test_ranges_are_given_out(shub, tmp_path):
    path = good("wav16", tmp_path / "x.wav")
    content = path.read_bytes()
    url = f"/shub/assets/{(await shub.upload(path))['asset_id']}/content"
    for asked, expected in (
        ("bytes=0-3", content[:4]),
        ("bytes=100-199", content[100:200]),
        ("bytes=-10", content[-10:]),
        ("bytes=5-", content[5:]),
    ):
        part = await shub.http.get(url, headers={"Range": asked})
        assert part.status_code == 206
        assert part.content == expected
        assert part.headers["content-range"].endswith(f"/{len(content)}")
    outside = await shub.http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert outside.status_code == 416
    assert outside.headers["content-range"] == f"bytes */{len(content)}"
    assert outside.json()["type"] == "/errors/no_such_part"
    unreadable = await shub.http.get(url, headers={"Range": "the first half"})
    assert (unreadable.status_code, unreadable.content) == (200, content)
    head = await shub.http.head(url)
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["accept-ranges"] == "bytes"
    assert head.content == b""
    with (tmp_path / "got.wav").open("wb") as got:
        got.write((await shub.http.get(url)).content)
    assert soundfile.info(tmp_path / "got.wav").frames == RATE


@pytest.mark.parametrize("path", ["assets/nope", "assets/nope/content", "jobs/nope", "jobs/nope/events"])
async def test_unknown_ids_are_404(shub, path):
    code = "asset_not_found" if path.startswith("assets") else "job_not_found"
    problem(await shub.http.get(f"/shub/{path}"), 404, code)


async def test_an_idempotency_key_stands_for_one_upload(shub, tmp_path):
    content = write(tmp_path / "x.wav", tone(1, 0.7), RATE, "PCM_16").read_bytes()
    other = write(tmp_path / "y.wav", tone(1, 0.8), RATE, "PCM_16").read_bytes()

    async def post(body: bytes) -> httpx.Response:
        return await shub.http.post("/shub/assets", content=body, headers={"Idempotency-Key": "upload-1"})

    first = await post(content)
    assert (await post(content)).json() == first.json()
    problem(await post(other), 409, "idempotency_conflict")


async def test_without_a_token_or_with_a_reading_one_nothing_is_taken(shub, tmp_path):
    content = good("wav16", tmp_path / "x.wav").read_bytes()
    problem(await shub.http.post("/shub/assets", content=content, headers={"X-VX11-Token": "x"}), 401, "unauthorized")
    reader = {
        "X-VX11-Token": shub.secrets.fleet.get_secret_value(),
        "X-VX11-Caller": "token:1",
        "X-VX11-Scopes": "shub:read",
    }
    problem(await shub.http.post("/shub/assets", content=content, headers=reader), 403, "forbidden")
    assert (await shub.http.get("/shub/assets", headers=reader)).status_code == 200


async def test_bytes_that_the_disk_lost_are_told_and_come_back_with_the_next_upload(shub, tmp_path):
    path = write(tmp_path / "x.wav", tone(1, 0.9), RATE, "PCM_16")
    asset = await shub.upload(path)
    (lost,) = [one for one in shub.files() if one.name == asset["sha256"]]
    lost.unlink()
    problem(await shub.http.get(f"/shub/assets/{asset['asset_id']}/content"), 500, "asset_lost")
    assert await shub.upload(path) == asset
    assert (await shub.http.get(f"/shub/assets/{asset['asset_id']}/content")).content == path.read_bytes()
