"""Files are written in the format that was asked for, and the same sound makes the same bytes."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shub.dsp import encode
from shub.dsp.encode import AudioWriter, BitDepth
from shub.dsp.formats import Format, rate_for
from shub.dsp.refusals import NotForThisFormat

RATE = 44_100
SOUND = (np.random.default_rng(4).standard_normal((RATE, 2)) * 0.1).astype(np.float32)


def write(path: Path, container: Format, bits: BitDepth = 16, block: int = RATE, **options: object) -> bytes:
    with AudioWriter(path, container, RATE, 2, bits, frames=len(SOUND), **options) as writer:  # type: ignore[arg-type]
        for start in range(0, len(SOUND), block):
            writer.write(SOUND[start : start + block])
    return path.read_bytes()


@pytest.mark.parametrize(("container", "bits"), [("ogg", 16), ("mp3", 16), ("wav", 16), ("flac", 24), ("wav", 32)])
def test_the_same_sound_makes_the_same_bytes_at_another_time_and_in_other_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: Format, bits: BitDepth
) -> None:
    first = write(tmp_path / "first", container, bits)
    second = int(time.time())
    while int(time.time()) == second:  # libsndfile's random numbers are those of the second
        time.sleep(0.01)
    again = write(tmp_path / "again", container, bits, block=1000 if bits != 16 or container == "wav" else RATE)
    assert again == first


@pytest.mark.parametrize("kbps", [320, 128])
def test_a_bit_rate_of_mp3_is_kept(tmp_path: Path, kbps: int) -> None:
    assert len(write(tmp_path / "made", "mp3", bitrate_kbps=kbps)) * 8 / 1000 == pytest.approx(kbps, rel=0.1)


def test_a_bit_rate_of_ogg_is_a_quality_and_more_is_larger(tmp_path: Path) -> None:
    sizes = [len(write(tmp_path / "made", "ogg", bitrate_kbps=kbps)) for kbps in (64, 128, 320, 500)]
    assert sizes == sorted(set(sizes))


def test_an_ogg_file_is_read_to_its_end_with_the_sound_in_it(tmp_path: Path) -> None:
    write(tmp_path / "made", "ogg", bitrate_kbps=500)
    read, rate = soundfile.read(tmp_path / "made")
    assert rate == RATE
    assert read.shape == SOUND.shape
    assert np.corrcoef(read[:, 0], SOUND[:, 0])[0, 1] > 0.95


def test_dither_is_what_was_asked_for(tmp_path: Path) -> None:
    silence = np.zeros((RATE, 1), np.float32)

    def loudest(bits: BitDepth, dither: encode.Dither) -> int:
        with AudioWriter(tmp_path / "made", "wav", RATE, 1, bits, frames=RATE, dither=dither) as writer:
            writer.write(silence)
        return int(np.abs(soundfile.read(tmp_path / "made", dtype="int32")[0]).max())

    assert loudest(16, "auto") > 0
    assert loudest(16, "none") == 0
    assert loudest(24, "auto") == 0
    assert loudest(24, "tpdf") > 0


def test_what_a_format_does_not_hold_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotForThisFormat, match="6 channels"):
        AudioWriter(tmp_path / "made", "mp3", RATE, 6, 16, frames=1)
    with pytest.raises(NotForThisFormat, match="96000 Hz"):
        AudioWriter(tmp_path / "made", "mp3", 96_000, 2, 16, frames=1)


def test_a_rate_that_mp3_has_not_goes_to_the_highest_of_its_family() -> None:
    assert [rate_for("mp3", rate) for rate in (44_100, 88_200, 96_000, 192_000, 8_000)] == [
        44_100, 44_100, 48_000, 48_000, 8_000,
    ]  # fmt: skip
    assert rate_for("wav", 192_000) == 192_000
